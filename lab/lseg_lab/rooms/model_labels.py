# SPDX-License-Identifier: Apache-2.0
"""Map the name of a catalogue's model to a class."""

from __future__ import annotations

import re

_PATTERNS = {
    'sofa': r'(corner |winchester |burlap |clear |rattan )?sofa( \d seats)?|couch|futon couch'
    r'|(opened )?convertible sofa bz',
    'armchair': r'(winchester |modern |rattan )?armchair|relax chair|ryokan chair',
    'chair': r'(oak |osaka |plastic |folding |cafe |class |teck |deck |children |child )?chair'
    r'( with cushion)?|class seat',
    'stool': r'stool|bar stool|bar chair|piano bench|armchair ottoman|puff',
    'bench': r'bench|painted bench|wood bank',
    'coffee table': r'coffee table',
    'desk': r'desk|wooden desk|desk table|technical table',
    'table': r'((oak|round|glass|square|black|bar|wooden alder|wooden teak|wooden|folding|cafe'
    r'|children|rattan) )?table( with tablecloth| on trestles)?|workbench',
    'nightstand': r'bedside table',
    'crib': r'baby bed|crib',
    'bed': r"(bunk |corner bunk |iron |hospital |day |captain's |child |mezzanine |loft )?bed"
    r'( \d+x\d+)?|futon',
    'wardrobe': r'wardrobe|cupboard',
    'bookshelf': r'(full |filled )?bookcase|shelves|vertical shelves|upper shelves cabinet',
    'dresser': r'dresser( with drawers)?|chest|winchester chest',
    'tv stand': r'tv stand|tv unit|television cabinet',
    'cabinet': r'drawers cabinet|glass door cabinet|high cabinet|filing cabinet|locked locker'
    r'|(small )?(lower|upper)( corner)? cabinet|kitchen( upper)? cabinet'
    r'|island( extension)?|dressing table',
    'plant': r'plant|decorative plant|little plant|indoor plant|spider plant|succulent plant'
    r'|yucca|ficus|bamboo|bonsai tree|cactus|spathiphyllum|plant box|flower box',
    'flowers': r'flowers|tulips|orchids|white lily',
    'vase': r'vase|pottery|old jar',
    'lamp': r'lamp|desk lamp|floor uplight|pedestal vase lamp|work lamp|little lamp',
    'ceiling lamp': r'(ceiling|pendant) lamp|chandelier lamp|hanging light|japanese lantern',
    'refrigerator': r'fridge|refrigerator|large fridge|fridge & freezer',
    'stove': r'oven|double oven|cooker|stove|large stove|propane stove|small oven',
    'microwave': r'microwave',
    'dishwasher': r'dishwasher',
    'washing machine': r'washing machine|clothes washing machine|clothes washer|dryer machine',
    'sink': r'sink|sink cabinet|washbasin( with cabinet)?|basin|vanity|double vanity'
    r'|small lavatory',
    'range hood': r'hood|range hood',
    'toilet': r'toilets? unit',
    'urinal': r'urinal',
    'bathtub': r'bath|corner bathtub|island bath|fitted bath',
    'shower': r'shower( stall)?',
    'television': r'tv|tv 16:9|flat tv|wall flat tv',
    'laptop': r'laptop|apple ibook',
    'computer': r'apple imac \d+|screen',
    'printer': r'inkjet printer and scanner',
    'speaker': r'speaker',
    'person': r'(holding |sitting )?(female|male|boy|girl)',
    'dog': r'dog|bulldog',
    'cat': r'cat|siamese cat',
    'box': r'box|(open )?cardboard box',
    'crate': r'crate',
    'barrel': r'barrel',
    'suitcase': r'suitcase',
    'backpack': r'backpack',
    'handbag': r'handbag',
    'trash can': r'dustbin|bullet trash can|residential trashcan|recycling bin',
    'radiator': r'(electric |hot water )?radiator',
    'fireplace': r'fireplace',
    'piano': r'grand piano|upright piano|piano',
    'guitar': r'electric guitar',
    'fan': r'rigged fan|table fan',
    'fire extinguisher': r'extinguisher',
    'bicycle': r'bike|bicycle',
    'stroller': r'stroller',
    'wheelchair': r'wheelchair',
    'ladder': r'(small )?step ladder',
    'ball': r'basketball|soccer ball',
    'book': r'book',
    'teddy bear': r'teddy bear',
    'curtain': r'curtains?',
    'blinds': r'window blind|venetian blind',
    'picture': r'frame|frame .*',
    'clock': r'clock|cuckoo clock',
    'whiteboard': r'(white )?board|white board',
    'clothes rack': r'clothes rack',
    'basket': r'clothes basket',
    'treadmill': r'treadmill',
    'game table': r'pool table|football table|table tennis',
    'water cooler': r'water cooler',
    'aquarium': r'aquarium',
    'stairs': r'(curve |spiral )?staircase',
    'door': r'(front |exterior |outward )?door|double door( with panes)?|glass door|screen door'
    r'|elevator door',
    'window': r'(double-hung |double |small |double small |fixed |sliding |slider |turn '
    r'|outward opening )?window|double window.*'
    r'|(double |triple |quadruple )?french window.*',
    'bottle': r'bottle|wine bottle|beer bottle|yogurt bottle',
    'cup': r'coffee (cup|mug)|cup|glass|beer glass',
    'bowl': r'bowl|bowl with .*',
    'coffee maker': r'coffee (machine|maker|brewer)',
    'toaster': r'toaster',
    'phone': r'phone|mobile phone|wireless phone',
    'keyboard': r'keyboard',
    'towel': r'towel( rack)?',
    'high chair': r'baby high chair',
    'safe': r'safe',
    'camera': r'camera|reflex camera',
    'radio': r'radio|mini stereo|mp3 station',
}
_COMPILED = [(re.compile(pattern), label) for label, pattern in _PATTERNS.items()]

# Classes that the room builder makes itself, whether or not the catalogues have models of them.
STRUCTURE = ('floor', 'wall', 'ceiling')
BUILT = ('counter', 'escalator', 'mirror', 'pillow', 'railing', 'ramp', 'rug', 'paper')
ROOM_CLASSES: tuple[str, ...] = STRUCTURE + tuple(sorted({*_PATTERNS, *BUILT}))

# What only outdoor scenes show.
OUTDOORS = (
    'awning',
    'bollard',
    'building',
    'building window',
    'bus',
    'bus shelter',
    'bush',
    'car',
    'crosswalk',
    'fence',
    'fire hydrant',
    'front door',
    'garden wall',
    'grass',
    'gravel',
    'hedge',
    'kerb',
    'mailbox',
    'manhole cover',
    'motorcycle',
    'pavement',
    'pole',
    'road',
    'shop window',
    'sky',
    'street lamp',
    'traffic cone',
    'traffic light',
    'traffic sign',
    'tree',
    'truck',
    'van',
)
# What only the models of a folder show (see model_folder.py).
MODELLED = (
    'air conditioner', 'ambulance', 'apple', 'banana', 'bar table', 'barbell', 'barrier', 'blanket', 'brick',
    'bridge', 'can', 'cart', 'chain', 'clamp', 'cleaning robot', 'collapsed building', 'column', 'concrete barrier',
    'concrete block', 'conference table', 'construction crane', 'control panel', 'cooling tower', 'dish rack',
    'door frame', 'drone', 'dumpster', 'elevator', 'exercise ball', 'figurine', 'filing cabinet',
    'fire truck', 'food package', 'fork', 'fountain', 'frying pan', 'gas station', 'gazebo', 'hammer',
    'kitchen cabinet', 'kitchen utensils', 'knife', 'lemon', 'marker', 'office chair', 'office cubicle', 'orange',
    'padlock', 'pallet', 'pallet jack', 'parking block', 'parking garage', 'pear', 'pickup truck', 'pitcher',
    'plastic crate', 'plate', 'platform', 'playground', 'power drill', 'radio tower', 'reception desk',
    'recycling bin', 'robot', 'rubble', "rubik's cube", 'scissors', 'screwdriver', 'security camera', 'shelf',
    'side table', 'sign', 'spatula', 'sponge', 'spoon', 'stop sign', 'strawberry', 'tablet', 'toy', 'traffic barrel',
    'truss', 'utility pole', 'utility vehicle', 'valve wheel', 'wall lamp', 'wall shelf', 'water tower',
    'weight bench', 'wheel', 'wooden block', 'wooden panel', 'wooden planks', 'workbench', 'wrench',
)  # fmt: skip
# Names in a model folder's index for what other models call otherwise; None is left out.
_INDEX_NAMES: dict[str, str | None] = {
    'baseball': 'ball', 'bleach bottle': 'bottle', 'books': 'book', 'cardboard box': 'box',
    'chandelier': 'ceiling lamp', 'cleaning cart': 'cart', 'coffee can': 'can', 'cracker box': 'food package',
    'crane': 'construction crane',
    'factory': None, 'depth camera': 'camera', 'door handle': None, 'elevator door': 'elevator', 'faucet': 'sink',
    'foam brick': 'brick', 'folding door': 'door', 'glass door': 'door', 'golf ball': 'ball', 'hospital sign': 'sign',
    'house': 'building', 'kitchen counter': 'counter', 'laundry cart': 'cart', 'leaves': 'tree', 'meat can': 'can',
    'mug': 'cup', 'mustard bottle': 'bottle', 'picture frame': 'picture', 'pier': None, 'smart speaker': 'speaker',
    'soccer ball': 'ball', 'soda can': 'can', 'soup can': 'can', 'speed limit sign': 'traffic sign',
    'storage box': 'box', 'sugar box': 'food package', 'table lamp': 'lamp', 'tablet stand': 'tablet',
    'tennis ball': 'ball', 'toy airplane': 'toy', 'toy blocks': 'toy', 'toy cup': 'toy', 'toy wagon': 'toy',
    'traffic light pole': 'pole', 'trunk': 'tree', 'tuna can': 'can',
}  # fmt: skip
# Classes whose length runs from front to back; that of other models runs from side to side.
LENGTHWISE = frozenset(
    {
        'ambulance',
        'bed',
        'bus',
        'car',
        'fire truck',
        'pickup truck',
        'pallet jack',
        'cleaning robot',
        'robot',
        'utility vehicle',
        'weight bench',
    }
)
CLASSES: tuple[str, ...] = ROOM_CLASSES + OUTDOORS + MODELLED
CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}


def label_of(model_name: str) -> str | None:
    """Return the class of the model called `model_name`, or None if rooms do not use it."""
    name = model_name.lower().strip()
    return next((label for pattern, label in _COMPILED if pattern.fullmatch(name)), None)


def class_of_index(name: str) -> str | None:
    """Return the class of a model that a folder's index calls `name`, or None if it is not used."""
    label = _INDEX_NAMES.get(name, name)
    return label if label in CLASS_INDEX else None
