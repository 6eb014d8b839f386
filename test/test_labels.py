# SPDX-License-Identifier: Apache-2.0
"""Labels: how they are written, which are refused and why, and how ids are given."""

import itertools
import time
import unicodedata

import numpy as np
import pytest

from lseg_ros.labels import LabelClass, LabelError, LabelRegistry, LabelSet
from lseg_ros.labels.colors import class_color
from lseg_ros.labels.syntax import parse_groups, parse_label, quote, split_labels, topic_name

# With `floor` and `other`, 2,050 prompts.
MANY_PROMPTS = [f'n{number}=' + '|'.join(f'{number} {prompt}' for prompt in range(32)) for number in range(64)]


@pytest.fixture
def registry():
    return LabelRegistry()


def ids(label_set):
    return {label.name: label.id for label in label_set.classes}


@pytest.mark.parametrize(
    'text, expected',
    [
        ('floor', ('floor', ('floor',))),
        ('floor=floor|ground|carpet', ('floor', ('floor', 'ground', 'carpet'))),
        ('  wet   floor\n= a  wet   floor | puddle ', ('wet floor', ('a wet floor', 'puddle'))),
        ('a=b|c|b', ('a', ('b', 'c'))),
        ('Exit Sign', ('Exit Sign', ('Exit Sign',))),
        ('OTHER=thing', ('other', ('thing',))),
        ('sign=red, round', ('sign', ('red, round',))),
        ('地板', ('地板', ('地板',))),
        ('cafe\u0301', ('caf\xe9', ('caf\xe9',))),
        ('می\u200cخواهم', ('می\u200cخواهم', ('می\u200cخواهم',))),
        ('🚗', ('🚗', ('🚗',))),
        ('n' * 64 + '=' + 'p' * 256, ('n' * 64, ('p' * 256,))),
    ],
)
def test_label_is_read(text, expected):
    assert parse_label(text) == expected


@pytest.mark.parametrize(
    'text, reason',
    [
        ('', 'empty name'),
        (' \t ', 'empty name'),
        ('=x', 'empty name'),
        ('a=', 'empty prompt'),
        ('a=|b', 'empty prompt'),
        ('a=b|', 'empty prompt'),
        ('a=b=c', "second '='"),
        ('a|b', "'|' in its name"),
        ('floor, wall', "',' in its name"),
        ('n' * 65, '65 characters; at most 64'),
        ('a=' + 'p' * 257, '257 characters; at most 256'),
        ('a=' + '|'.join(map(str, range(33))), '33 prompts; at most 32'),
        ('a=' + '|' * 40, '41 prompts; at most 32'),  # said before they are read
        ('a\x00b', 'U+0000'),
        ('a\nb', 'U+000A'),
        ('a\tb', 'U+0009'),
        ('a=b\x1b[31m', 'U+001B'),
        ('a\u202eb', 'U+202E'),
        ('a\ud800', 'U+D800'),
        ('\u200d', 'without a visible character'),
        ('unlabelled', 'reserved'),
        ('Unlabeled=x', 'reserved'),
        (3, 'not a string but int'),
        (None, 'not a string but NoneType'),
    ],
)
def test_bad_label_is_refused_by_name_and_reason(text, reason):
    with pytest.raises(LabelError) as error:
        parse_label(text)
    assert reason in str(error.value) and quote(text) in str(error.value)


def test_long_text_is_refused_before_it_is_normalised():
    # Normalising this takes minutes, during which no other thread of the node would run.
    started = time.process_time()
    with pytest.raises(LabelError, match='200001 characters; at most 64'):
        parse_label('a' + '\u0315\u0300' * 100_000)
    assert time.process_time() - started < 2


def test_composed_characters_count_once():
    name = '\u1ec7' * 64  # one character, or e and two marks
    assert parse_label(unicodedata.normalize('NFD', name)) == (name, (name,))


def test_message_is_short_printable_and_encodable_whatever_the_label():
    for text in ('x' * 100_000, 'a\x00\x1b\n', 'a\ud800', '\u202eabc'):
        with pytest.raises(LabelError) as error:
            parse_label(text)
        message = str(error.value)
        assert len(message) < 200 and message.isprintable() and message.encode()


def test_spec_is_read_back_as_the_same_label(registry):
    for label in registry.replace(['floor', 'door=door|doorway', '壁=wall']).classes:
        assert parse_label(label.spec) == (label.name, label.prompts)


@pytest.mark.parametrize(
    'name, token',
    [
        ('floor', 'floor'),
        ('TV / Monitor', 'tv_monitor'),
        ('Stühle', 'stuhle'),
        ('2 doors', 'class_2_doors'),
        ('__hidden__', 'hidden'),
        ('ＦＬＯＯＲ', 'floor'),
        ('地板', 'u5730_u677f'),
        ('!!', 'u21_u21'),
    ],
)
def test_topic_name(name, token):
    assert topic_name(name) == token


@pytest.mark.parametrize(
    'name', ['कुर्सी', 'пол', 'ガラス', '의자', '🚗', '½', 'Ⅷ', '٣', '中' * 64, 'ß' * 64, '-', '_', '²', 'ﬁne']
)
def test_topic_name_is_a_valid_token_for_any_language(name):
    token = topic_name(name)
    assert token.isascii() and token[0].isalpha() and len(token) <= 80
    assert token.replace('_', '').isalnum() and '__' not in token and token == token.lower()


def test_long_names_with_a_common_start_have_different_topics():
    assert topic_name('中' * 63 + '地') != topic_name('中' * 63 + '板')


def test_ids_start_at_1_in_the_order_asked_and_0_is_other(registry):
    labels = registry.replace(['floor', 'wall'])
    assert ids(labels) == {'other': 0, 'floor': 1, 'wall': 2}
    assert labels.prompts == ('other', 'floor', 'wall')


def test_names_keep_their_id_through_every_change(registry):
    first = ids(registry.replace(['floor', 'wall', 'door']))
    registry.replace(['chair', 'wall'])
    registry.remove(['wall'])
    registry.add(['table'])
    assert ids(registry.replace(['door', 'wall', 'floor'])) == first


def test_prompts_may_change_while_the_id_stays(registry):
    registry.replace(['floor', 'wall'])
    labels = registry.add(['floor=floor|carpet'])
    assert labels.by_id(1) == LabelClass(1, 'floor', ('floor', 'carpet'), class_color(1))
    assert len(labels.classes) == 3


def test_freed_id_waits_until_all_others_were_used():
    registry = LabelRegistry(max_id=4)
    registry.replace(['a', 'b'])
    registry.remove(['a'])
    assert ids(registry.add(['c', 'd']))['d'] == 4


def test_id_free_for_longest_is_given_away_first():
    registry = LabelRegistry(max_id=3)
    registry.replace(['a', 'b', 'c'])
    registry.remove(['b'])
    registry.remove(['a'])
    assert ids(registry.add(['d']))['d'] == 2
    assert ids(registry.add(['e']))['e'] == 1


def test_retired_name_is_known_until_its_id_is_given_away():
    registry = LabelRegistry(max_id=3)
    assert registry.replace(['a', 'b', 'c']).retired == ()
    assert registry.remove(['b']).retired == ((2, 'b'),)
    assert registry.replace(['b']).retired == ((1, 'a'), (3, 'c'))
    assert registry.add(['d']).retired == ((3, 'c'),)


def test_returning_name_gets_its_id_back_rather_than_lose_it_to_a_new_one():
    registry = LabelRegistry(max_id=2)
    registry.replace(['a', 'b'])
    registry.remove(['a'])
    assert ids(registry.replace(['new', 'a'])) == {'other': 0, 'a': 1, 'new': 2}


def test_254_labels_are_accepted_in_turns_for_ever(registry):
    for turn in range(4):
        labels = registry.replace([f'{turn} {number}' for number in range(254)])
        assert labels.ids == tuple(range(255))


@pytest.mark.parametrize(
    'call, labels, reason',
    [
        ('replace', [], 'list of labels is empty'),
        ('add', [], 'list of labels is empty'),
        ('replace', ['floor', 'wall', 'floor=ground'], "'floor' is listed twice"),
        ('replace', ['floor', ''], "label ''"),
        ('replace', ['tv/monitor', 'tv monitor'], "'tv monitor' and label 'tv/monitor'"),
        ('add', ['Floor'], "'Floor' and label 'floor'"),
        ('add', [f'n{number}' for number in range(254)], "255 labels are too many, from 'n253' on"),
        ('add', MANY_PROMPTS, "2050 prompts are too many, from label 'n63' on; at most 2048 in all"),
        ('add', ['=='] * 256, "256 labels are too many, from '==' on; at most 254"),  # said before they are read
        ('replace', ['other'], 'would be empty'),
        ('replace', 'floor', 'not the one string'),
        ('remove', ['wall'], "'wall' is not in the set; it has 'other', 'floor'"),
        ('remove', ['floor'], 'would be empty'),
        ('remove', ['other'], 'include_other'),
    ],
)
def test_refused_call_says_why_and_changes_nothing(registry, call, labels, reason):
    before = registry.replace(['floor'])
    with pytest.raises(LabelError) as error:
        getattr(registry, call)(labels)
    assert reason in str(error.value)
    assert registry.current is before
    assert ids(registry.add(['wall'])) == {'other': 0, 'floor': 1, 'wall': 2}


def test_other_takes_its_prompts_from_a_label_of_that_name(registry):
    assert registry.replace(['floor', 'other=thing|stuff']).by_id(0).prompts == ('thing', 'stuff')
    assert registry.replace(['floor']).by_id(0).prompts == ('other',)
    assert LabelRegistry(other_prompts=('a', 'b')).replace(['x']).by_id(0).prompts == ('a', 'b')


def test_without_other_there_is_no_id_0_until_it_is_asked_for():
    registry = LabelRegistry(include_other=False)
    assert registry.replace(['floor']).ids == (1,)
    assert registry.add(['other']).ids == (0, 1)
    assert registry.remove(['other']).ids == (1,)


def test_label_set_refuses_ids_that_are_not_unique_and_ascending():
    one = LabelClass(1, 'a', ('a',), (0, 0, 0))
    with pytest.raises(ValueError, match='unique and ascending'):
        LabelSet((one, one))


def test_colours_are_fixed_by_id_and_far_apart(registry):
    labels = registry.replace([f'n{number}' for number in range(24)])
    palette = labels.palette().astype(int)
    assert palette.shape == (256, 3) and tuple(palette[0]) == (70, 70, 70)
    assert not palette[25:].any() and tuple(palette[3]) == class_color(3)
    for one, two in itertools.combinations(range(25), 2):
        assert np.abs(palette[one] - palette[two]).max() >= 24


def test_comma_separated_labels():
    assert split_labels('floor, chair=chair|armchair , ') == ['floor', 'chair=chair|armchair', '']
    assert split_labels('  ') == []


def test_names_keep_their_groups_through_every_change(registry):
    registry.replace(['floor', 'rug', 'cat'], {'ground': ['floor', 'rug'], 'moving': ['cat']})
    assert registry.current.groups == {'ground': (1, 2), 'moving': (3,)}
    assert registry.remove(['cat']).groups == {'ground': (1, 2)}
    assert registry.replace(['rug=rug|mat', 'dog', 'cat']).groups == {'ground': (2,), 'moving': (3,)}
    assert registry.replace(['rug'], registry.with_no_other({})).groups == {}


def test_groups_are_forgotten_with_the_id():
    registry = LabelRegistry(max_id=2)
    registry.replace(['floor', 'cat'], {'moving': ['cat']})
    registry.remove(['cat'])
    assert registry.add(['cat']).groups == {'moving': (2,)}
    registry.remove(['cat'])
    registry.add(['dog'])  # which gets the id
    registry.remove(['dog'])
    assert registry.add(['cat']).groups == {}


def test_a_change_of_a_group_is_one_of_this_group_only(registry):
    registry.replace(['floor', 'rug', 'cat'], {'ground': ['floor', 'rug'], 'moving': ['cat']})
    assert registry.regroup({'ground': ['rug', 'cat'], 'soft': ['rug']}).groups == {
        'ground': (2, 3),
        'soft': (2,),
        'moving': (3,),
    }
    assert registry.add(['mat'], {'soft': ['mat']}).groups == {'ground': (2, 3), 'moving': (3,), 'soft': (4,)}
    assert registry.remove(['cat'], {'ground': []}).groups == {'soft': (4,)}
    assert registry.add(['cat']).groups == {'soft': (4,), 'moving': (3,)}  # ground has ended, for cat too


def test_labels_stand_as_they_were_listed_and_ids_stay(registry):
    assert registry.replace(['wall', 'floor']).order == ('other', 'wall', 'floor')
    assert registry.replace(['floor', 'door', 'wall']).order == ('other', 'floor', 'door', 'wall')
    assert [(label.id, label.name) for label in registry.current.in_order] == [
        (0, 'other'),
        (2, 'floor'),
        (3, 'door'),
        (1, 'wall'),
    ]
    assert registry.add(['rug', 'door=gate']).order == ('other', 'floor', 'door', 'wall', 'rug')
    assert registry.remove(['door']).order == ('other', 'floor', 'wall', 'rug')


def test_groups_are_parsed():
    assert parse_groups(['ground=floor|rug', 'Soft = ']) == {'ground': ('floor', 'rug'), 'Soft': ()}
    assert parse_groups([' TRAVERSABLE=floor']) == {'traversable': ('floor',)}  # as `Other` is `other`


@pytest.mark.parametrize(
    'groups, reason',
    [
        (['ground'], "group 'ground' has no '='; write group=label|label, or group= for no members"),
        (['a|b'], "group 'a|b' has no '='; write group=label|label, or group= for no members"),
        (['ground=floor=rug'], "group 'ground=floor=rug' has a second '='; write group=label|label"),
        (['ground=floor', 'ground='], "group 'ground' is listed twice"),
        (['=floor'], "group '' has an empty name; give it one"),
        (['a|b=floor'], "group 'a|b' has '|' in its name; choose a name without it"),
        (['a,b=floor'], "group 'a,b' has ',' in its name; choose a name without it"),
        (['ground=floor|'], "group 'ground=floor|' has an empty member; write group=label|label"),
        (['bad'] * 509, '509 changes of groups are too many; at most 508'),
        (['ground=' + '|' * 255], "group 'ground' has 256 members; at most 255"),
    ],
)
def test_groups_of_another_form_are_refused_with_the_form_of_a_group(groups, reason):
    with pytest.raises(LabelError) as error:
        parse_groups(groups)
    assert str(error.value) == reason


def test_registry_of_known_labels_goes_on_with_their_ids_and_groups(registry):
    registry.replace(['wall', 'floor', 'door'], {'traversable': ['floor']})
    known = registry.remove(['wall'])
    again = LabelRegistry.of(known)
    assert again.current == known
    added = again.add(['rug'])
    assert {label.name: label.id for label in known.classes}.items() <= {
        label.name: label.id for label in added.classes
    }.items()
    assert len(set(added.ids)) == 4 and added.groups == known.groups
    assert again.remove(['door']).names == ('other', *[name for name in added.names if name not in ('other', 'door')])


def test_masks_are_those_of_classes_and_of_groups(registry):
    labels = registry.replace(['floor', 'rug'], {'ground': ['floor', 'rug'], 'rest': ['other']})
    assert labels.masks == {'other': (0,), 'floor': (1,), 'rug': (2,), 'rest': (0,), 'ground': (1, 2)}
    assert labels.by_id(2).groups == ('ground',)


@pytest.mark.parametrize(
    'groups, reason',
    [
        ({'ground': ['flor']}, "group 'ground' has 'flor', which is not among the labels"),
        ({'Floor': ['wall']}, "group 'Floor' and label 'floor' would share the topic masks/floor"),
        ({'a b': ['wall'], 'a-b': ['floor']}, 'would share the topic masks/a_b'),
        ({'other': ['wall']}, "group 'other' and label 'other'"),
        ({'a|b': ['wall']}, "'|' in its name"),
        ({'': ['wall']}, 'empty name'),
        ({f'group {number}': ['wall'] for number in range(254)}, '255 groups are too many; at most 254'),
    ],
)
def test_groups_that_cannot_be_used_are_refused_and_change_nothing(registry, groups, reason):
    before = registry.replace(['floor'], {'ground': ['floor']})
    with pytest.raises(LabelError) as error:
        registry.replace(['floor', 'wall'], groups)
    assert reason in str(error.value)
    assert registry.current is before and registry.add(['wall']).groups == {'ground': (1,)}


def test_label_with_the_topic_of_a_group_in_use_is_refused(registry):
    registry.replace(['floor'], {'ground': ['floor']})
    with pytest.raises(LabelError, match="group 'ground' and label 'Ground' would share"):
        registry.add(['Ground'])
    assert registry.replace(['Ground']).names == ('other', 'Ground')
