"""A few attempts of each campaign; `make campaign` makes them by the thousand."""

import random

import pytest

from tests.campaigns import resources
from tests.campaigns.kills import TASKS
from tests.campaigns.mutations import KINDS, attack, mutate

_SLOW = {"translator records", "translator weights", "detector", "detector records", "records"}


_NAMES = [pytest.param(name, marks=pytest.mark.more if name in _SLOW else ()) for name in KINDS]


@pytest.mark.parametrize("name", _NAMES)
def test_damaged_files_are_read_or_refused_in_a_line(name):
    found = attack(name, KINDS[name], 25, seed=1, keep=None)
    assert not found.losses and found.tried == 25
    assert ", 0 refused" not in found.words or name in ("bmp", "checkpoint")  # an older checkpoint is taken


def test_changes_change_and_follow_from_the_seed():
    content = bytes(range(256)) * 4
    made = [mutate(content, random.Random(seed)) for seed in range(60)]
    assert made == [mutate(content, random.Random(seed)) for seed in range(60)]
    assert sum(one != content for one in made) > 50 and len({len(one) for one in made}) > 10


@pytest.mark.more
def test_what_a_machine_lacks_is_a_line():
    """A translation on full and locked disks, with few files, long names, and twice at once."""
    found = resources.attack("translation", TASKS["translation"], mounts=resources.can_mount())
    assert len(found) >= 4 and not [one for one in found if one.lost], found
