// SPDX-License-Identifier: Apache-2.0
// Shows the newest picture of a camera: asks for the next one when the last is shown, so that a
// slow browser gets fewer pictures, never old ones.
const RETRY_MS = 1000;
const HIDDEN_MS = 500;
const STALE_MS = 3000;
const STEP = 0.02;
const WAITING = 'Waiting for the first picture';

export default {
  template: `
    <div class="live" :class="{stale: isStale, empty: !frames}">
      <canvas ref="canvas" width="640" height="480" tabindex="0" role="img" :data-frames="frames"
        :aria-label="label + '. Arrow keys move the mark that picks a pixel.'"
        @click="pickAt" @keydown="step"></canvas>
      <div v-if="mark" class="mark" :style="{left: 100 * mark.x + '%', top: 100 * mark.y + '%'}"></div>
      <div class="note" role="status">{{ note }}</div>
    </div>`,
  props: { camera: String, label: String },
  data() {
    return { frames: 0, isStale: false, mark: null, note: WAITING };
  },
  mounted() {
    this.isGone = false;
    this.cameAt = 0;
    this.watchdog = setInterval(this.checkAge, 500);
    this.run();
  },
  unmounted() {
    this.isGone = true;
    clearInterval(this.watchdog);
  },
  watch: {
    camera() {
      this.forget();
    },
  },
  methods: {
    forget() {
      this.waiting?.abort();
      this.after = '';
      this.frames = 0;
      this.isStale = false;
      this.note = WAITING;
      const canvas = this.$refs.canvas;
      canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
      if (this.mark) this.unpick();
    },
    async run() {
      this.after = '';
      while (!this.isGone) {
        if (document.hidden) {
          await this.pause(HIDDEN_MS);
          continue;
        }
        try {
          await this.showNext();
        } catch (error) {
          if (error.name !== 'AbortError') await this.pause(RETRY_MS);
        }
      }
    },
    async showNext() {
      const width = Math.round(this.$refs.canvas.clientWidth * window.devicePixelRatio) || 640;
      const query = new URLSearchParams({ camera: this.camera, after: this.after, width });
      const { signal } = (this.waiting = new AbortController());
      const response = await fetch(`frame?${query}`, { cache: 'no-store', signal });
      if (response.status === 204) return;
      if (!response.ok) throw new Error(response.statusText);
      const bitmap = await createImageBitmap(await response.blob());
      const canvas = this.$refs.canvas;
      if (!canvas || signal.aborted) return;
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      canvas.getContext('2d').drawImage(bitmap, 0, 0);
      bitmap.close();
      this.after = response.headers.get('X-Picture');
      this.cameAt = performance.now() - Number(response.headers.get('X-Age-Ms'));
      this.frames += 1;
      this.isStale = false;
      this.note = '';
      this.checkAge();
    },
    checkAge() {
      if (!this.frames) return;
      const age = performance.now() - this.cameAt;
      this.isStale = age > STALE_MS;
      if (this.isStale) this.note = `No new picture for ${Math.round(age / 1000)} s`;
    },
    pause(milliseconds) {
      return new Promise((resolve) => setTimeout(resolve, milliseconds));
    },
    pickAt(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      this.pick((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    },
    step(event) {
      const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
      const move = moves[event.key];
      if (event.key === 'Escape') this.unpick();
      if (!move) return;
      event.preventDefault();
      const from = this.mark || { x: 0.5, y: 0.5 };
      this.pick(from.x + move[0], from.y + move[1]);
    },
    pick(x, y) {
      const inside = (place) => Math.min(Math.max(place, 0), 1);
      this.mark = { x: inside(x), y: inside(y) };
      this.$emit('pick', this.mark);
    },
    unpick() {
      this.mark = null;
      this.$emit('unpick');
    },
  },
};
