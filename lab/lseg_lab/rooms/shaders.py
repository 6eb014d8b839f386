# SPDX-License-Identifier: Apache-2.0
"""GLSL of the renderer: shadow maps, the lit scene, and the camera that develops it."""

MAX_LIGHTS = 4

SHADOW_VERTEX = """
#version 330
in vec3 position;
uniform mat4 model, light;
void main() { gl_Position = light * (model * vec4(position, 1.0)); }
"""

SHADOW_FRAGMENT = """
#version 330
void main() {}
"""

SCENE_VERTEX = """
#version 330
in vec3 position; in vec3 normal; in vec2 uv; in vec3 colour; in float layer;
uniform mat4 model, camera;
uniform mat3 normal_matrix;
uniform vec3 tint;
uniform vec2 override_texture;  // layer (or below 0), repeats per metre
out vec3 world; out vec3 facing; out vec2 coordinate; out vec3 base;
flat out float texture_layer;
void main() {
    vec4 point = model * vec4(position, 1.0);
    world = point.xyz;
    facing = normal_matrix * normal;
    coordinate = uv;
    base = colour * tint;
    texture_layer = layer;
    if (override_texture.x >= 0.0) {  // project along the face's main axis
        vec3 size = vec3(length(model[0].xyz), length(model[1].xyz), length(model[2].xyz));
        vec3 local = position * size * override_texture.y;
        vec3 side = abs(normal);
        coordinate = side.y > max(side.x, side.z) ? local.xz
                   : side.x > side.z ? local.zy : local.xy;
        texture_layer = override_texture.x;
        base = tint;
    }
    gl_Position = camera * point;
}
"""

SCENE_FRAGMENT = f"""
#version 330
in vec3 world; in vec3 facing; in vec2 coordinate; in vec3 base;
flat in float texture_layer;
uniform sampler2DArray textures;
uniform sampler2DShadow sun_shadow, lamp_shadow;
uniform mat4 sun_map, lamp_map;
uniform vec3 eye, sun_direction, sun_colour;
uniform vec4 haze;  // colour, density per metre
uniform vec3 ambient[6];
uniform vec3 lamp_position[{MAX_LIGHTS}], lamp_colour[{MAX_LIGHTS}];
uniform vec3 window_position[{MAX_LIGHTS}], window_normal[{MAX_LIGHTS}];
uniform vec3 window_colour[{MAX_LIGHTS}];
uniform int lamps, windows;
uniform float gloss, emission;
uniform uint label;
layout(location = 0) out vec4 radiance;  // alpha: mirror strength of level surfaces
layout(location = 1) out uint class_index;

float lit(sampler2DShadow map, mat4 to_map, float bias) {{
    vec4 projected = to_map * vec4(world, 1.0);
    vec3 at = projected.xyz / projected.w * 0.5 + 0.5;
    if (projected.w < 0.0 || any(lessThan(at, vec3(0.0))) || any(greaterThan(at, vec3(1.0))))
        return 1.0;
    // One bilinear sample, shifted at random: supersampling and noise make it a soft edge.
    float turn = 6.2832 * fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453);
    vec2 offset = vec2(cos(turn), sin(turn)) * 1.8 / vec2(textureSize(map, 0));
    return texture(map, vec3(at.xy + offset, at.z - bias));
}}

void main() {{
    vec4 albedo = vec4(base, 1.0);
    if (texture_layer > -0.5) {{
        vec4 texel = texture(textures, vec3(coordinate, texture_layer));
        if (texel.a < 0.4) discard;
        albedo.rgb *= texel.rgb;
    }}
    albedo.rgb *= albedo.rgb;  // sRGB to linear, near enough
    vec3 view = normalize(eye - world);
    vec3 n = normalize(facing);
    if (dot(n, view) < 0.0) n = -n;
    vec3 square = n * n;
    vec3 light = square.x * (n.x > 0.0 ? ambient[0] : ambient[1])
               + square.y * (n.y > 0.0 ? ambient[2] : ambient[3])
               + square.z * (n.z > 0.0 ? ambient[4] : ambient[5]);
    vec3 shine = vec3(0.0);
    float toward_sun = dot(n, sun_direction);
    if (sun_colour.r > 0.0 && toward_sun > 0.0)
        light += sun_colour * toward_sun * lit(sun_shadow, sun_map, 0.002);
    for (int i = 0; i < lamps; i++) {{
        vec3 to = lamp_position[i] - world;
        float squared = dot(to, to);
        to *= inversesqrt(squared);
        float reach = 1.0 / (0.3 + squared);
        if (i == 0) reach *= 0.25 + 0.75 * lit(lamp_shadow, lamp_map, 0.004);
        light += lamp_colour[i] * reach * max(dot(n, to) * 0.85 + 0.15, 0.0);
        if (gloss > 0.0)
            shine += lamp_colour[i] * reach * pow(max(dot(n, normalize(to + view)), 0.0), 50.0);
    }}
    for (int i = 0; i < windows; i++) {{
        vec3 to = window_position[i] - world;
        float squared = dot(to, to);
        to *= inversesqrt(squared);
        float from_pane = max(-dot(window_normal[i], to), 0.0) * 0.9 + 0.1;
        light += window_colour[i] * from_pane * max(dot(n, to) * 0.9 + 0.1, 0.0) / (0.8 + squared);
        light += window_colour[i] * 0.05 / (1.0 + 0.3 * squared);  // what the room reflects
        if (gloss > 0.0)
            shine += window_colour[i] * 0.5 / (0.8 + squared)
                   * pow(max(dot(n, normalize(to + view)), 0.0), 30.0);
    }}
    float grazing = pow(1.0 - max(dot(n, view), 0.0), 4.0);
    radiance = vec4(albedo.rgb * (light + emission) + shine * gloss * 2.0,
                    n.y > 0.9 ? gloss * (0.25 + 0.75 * grazing) : 0.0);
    if (haze.a > 0.0 && emission < 0.5)  // what shines of itself, such as the sky, stays clear
        radiance.rgb = mix(haze.rgb, radiance.rgb, exp(-haze.a * distance(eye, world)));
    class_index = label;
}}
"""

SCREEN_VERTEX = """
#version 330
in vec2 corner;
out vec2 at;
void main() { at = corner * 0.5 + 0.5; gl_Position = vec4(corner, 0.0, 1.0); }
"""

# Screen-space occlusion compares each depth with pairs on opposite sides, so slopes do not count.
# Glossy horizontal surfaces reflect what a short march through the depth image finds.
DEVELOP_FRAGMENT = """
#version 330
in vec2 at;
uniform sampler2D radiance, depth;
uniform float near, far, exposure, occlusion;
uniform vec2 focal;  // tangents of the half angles
uniform vec3 up;            // the world's up in the eye's axes
out vec4 developed;         // alpha: by how much the pixel is overexposed

float distance_at(vec2 p) {
    return near * far / (far - texture(depth, p).r * (far - near));
}

vec3 point_at(vec2 p) { float z = distance_at(p); return vec3((p * 2.0 - 1.0) * focal * z, -z); }

float hidden(vec2 p, float turn, float metres, int count) {
    float z = distance_at(p);
    float reach = metres / (focal.y * z);
    float shade = 0.0;
    for (int i = 0; i < count; i++) {
        float angle = float(i) * 2.4 + turn;
        vec2 offset = vec2(cos(angle), sin(angle)) * reach * sqrt((float(i) + 0.5) / float(count));
        offset.x *= focal.y / focal.x;
        float nearer = (z - 0.5 * (distance_at(p + offset) + distance_at(p - offset))) / metres;
        shade += clamp(nearer * 1.1, 0.0, 1.0) * (1.0 - smoothstep(1.9, 4.4, nearer));
    }
    return shade / float(count) * (1.0 - smoothstep(40.0, 80.0, z));  // depth is coarse far away
}

float shading(vec2 p, float turn) {  // edges and feet; corners and under tables
    return (1.0 - occlusion * hidden(p, turn, 0.16, 6))
         * (1.0 - 0.7 * occlusion * hidden(p, turn, 0.6, 5));
}

vec3 mirrored(vec3 fallback, float noise) {
    vec3 here = point_at(at);
    vec3 away = reflect(normalize(here), normalize(up + (noise - 0.5) * 0.04));
    float stride = 0.08 * (0.7 + 0.6 * noise);
    vec3 probe = here;
    for (int i = 0; i < 16; i++) {
        probe += away * stride;
        stride *= 1.25;
        if (probe.z > -near) break;
        vec2 p = probe.xy / (-probe.z * focal) * 0.5 + 0.5;
        if (any(lessThan(p, vec2(0.0))) || any(greaterThan(p, vec2(1.0)))) break;
        float behind = -probe.z - distance_at(p);
        if (behind > 0.02 && behind < stride * 1.5) return texture(radiance, p).rgb;
    }
    return fallback;
}

void main() {
    vec4 seen = texture(radiance, at);
    float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453);
    vec3 light = seen.rgb;
    if (seen.a > 0.01) light = mix(light, mirrored(light * 1.5, noise), seen.a);
    light *= shading(at, noise * 6.2832) * exposure;
    float peak = max(light.r, max(light.g, light.b));
    light = light * (1.0 + light * 0.3) / (1.0 + light);
    developed = vec4(sqrt(light), clamp((peak - 1.5) * 0.2, 0.0, 1.0));
}
"""
