import argparse
from dataclasses import dataclass

import pytest
import yaml

from common_tf.errors import UserError
from common_tf.runs.config import (
    FORMAT,
    active_options,
    add_flags,
    build_tree,
    check_config,
    config_difference,
    config_text,
    given_texts,
    option,
    options_of,
    parse_texts,
    read_config_file,
    save_config,
    section,
    settle_budget,
    tree_from_content,
    values_of,
)
from common_tf.runs.sections import LARGEST_SEED, RunSection, seed_option


@dataclass(frozen=True)
class Optics:
    rate: float = option(0.5, "rate of 5 %", minimum=0, below=1)
    fancy: bool = option(False, "switch")
    lens: str = option("round", "form", choices=("round", "flat"), needs="fancy")
    polish: int = option(3, "passes", minimum=1, needs="lens=flat")
    coat: int = option(1, "layers", needs="rate|fancy")
    hue: str = option("red", "new in format 3", choices=("red", "gray"), before="gray")


@dataclass(frozen=True)
class Config:
    kind: str = option("x", "which", flag=True, choices=("x", "y"))
    data: str = option("drawn", "where", flag=True, place=True)
    split: str = option("grouped", "how", flag=True, needs="data!=drawn")
    image_size: int = option(64, "side", flag=True, minimum=8, maximum=512)
    epochs: int = option(0, "length", flag=True, minimum=0)
    steps: int = option(5, "length", flag=True, minimum=0)
    seed: int = seed_option()
    optics: Optics = section(Optics)


@dataclass(frozen=True)
class Other:
    kind: str = option("y", "which", flag=True, choices=("x", "y"))
    image_size: int = option(32, "side", flag=True, minimum=8, maximum=512)
    depth: int = option(2, "how deep", flag=True)
    colour: str = option("", "tint")


OWNERS = {"first": Config, "second": Other}


def _parsed(*words, tree=Config):
    parser = argparse.ArgumentParser()
    add_flags(parser, OWNERS)
    texts = given_texts(OWNERS.values(), parser.parse_args(words))
    return parse_texts(tree, texts, owners=OWNERS, kind="model")


def _made(*words):
    given = _parsed(*words)
    config = build_tree(Config, given)
    check_config(config, given=given)
    return config


def _loaded(path, text):
    path.write_text(text)
    return tree_from_content(Config, read_config_file(path), path=path)


def test_options_of_a_tree_are_those_of_its_sections_too():
    assert list(options_of(Config))[-3:] == ["polish", "coat", "hue"]
    assert values_of(Config(optics=Optics(rate=0.25)))["rate"] == 0.25


def test_two_options_of_one_name_are_found():
    @dataclass(frozen=True)
    class Double:
        rate: float = option(1.0, "another rate")
        optics: Optics = section(Optics)

    with pytest.raises(TypeError, match="Double has two options named rate"):
        options_of(Double)
    with pytest.raises(TypeError, match="Config has no nonsense"):
        build_tree(Config, {"nonsense": 1})


def test_flags_follow_from_options():
    assert _parsed() == {}
    words = (
        "--steps",
        "7",
        "--image-size",
        "32",
        "--set",
        "rate=0.25",
        "--set",
        "fancy=true",
        "--set",
        "image-size=16",
    )
    assert _parsed(*words) == dict(steps=7, image_size=16, rate=0.25, fancy=True)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--steps", "many"), "^--steps many: must be a whole number$"),
        (("--steps", "1e400"), "--steps 1e400: must be a whole number"),
        (("--set", "rate=fast"), "^--set rate=fast: must be a number$"),
        (("--set", "speed=1"), "--set speed=1: wants NAME=VALUE with one of coat, .*, steps"),
        (("--set", "rate"), "--set rate: wants NAME=VALUE"),
        (("--set", "fancy=maybe"), "--set fancy=maybe: must be true or false"),
        (("--depth", "3"), "^--depth 3: not a setting of this model; model second has it$"),
        (("--set", "colour=red"), "^--set colour=red: not a setting of this model; model second has it$"),
        (("--kind", "z"), "^--kind z: must be one of x, y$"),
        (("--image-size", "4"), "--image-size 4: must be 8 or more"),
        (("--image-size", "1024"), "--image-size 1024: must be 512 or less"),
        (("--set", "rate=1"), "--set rate=1.0: must be below 1"),
        (("--set", "rate=nan"), "--set rate=nan: must be a number"),
        (("--set", "rate=inf"), "--set rate=inf: must be a number"),
        (("--seed", str(2**63 - 1)), f"--seed {2**63 - 1}: must be {LARGEST_SEED} or less"),
        (("--seed", "-1"), "--seed -1: must be 0 or more"),
    ],
)
def test_bad_values_are_refused_as_the_user_wrote_them(words, message):
    with pytest.raises(UserError, match=message):
        _made(*words)


def test_who_has_a_setting_is_said_of_several_and_of_nobody():
    owners = {**OWNERS, "third": Other}
    with pytest.raises(UserError, match="models second, third have it"):
        parse_texts(Config, {"depth": "3"}, owners=owners, kind="model")
    with pytest.raises(UserError, match="--set gone=3: not a setting of this task; nobody has it"):
        parse_texts(Config, {"gone": "3"}, owners=OWNERS, kind="task")


@pytest.mark.parametrize(
    "words, message",
    [
        (("--set", "lens=flat"), "--set lens=flat: does nothing here; it needs fancy"),
        (("--set", "fancy=true", "--set", "polish=2"), "--set polish=2: does nothing here; it needs lens=flat"),
        (("--split", "as-given"), "--split as-given: does nothing here; it needs data!=drawn"),
        (("--set", "rate=0", "--set", "coat=2"), "--set coat=2: does nothing here; it needs rate or fancy"),
    ],
)
def test_a_setting_without_effect_is_refused(words, message):
    with pytest.raises(UserError, match=message):
        _made(*words)


def test_a_setting_with_effect_is_taken():
    config = _made(
        "--data", "D", "--split", "as-given", "--set", "fancy=true", "--set", "lens=flat", "--set", "polish=2"
    )
    assert config.optics == Optics(fancy=True, lens="flat", polish=2)
    assert _made("--set", "coat=2").optics.coat == 2
    assert _made("--set", "rate=0", "--set", "fancy=true", "--set", "coat=2").optics.coat == 2


def test_what_hangs_on_a_setting_without_effect_has_none_either():
    """Whatever value that setting has: it is not written down, so nobody could tell."""
    active = active_options(Config, values_of(Config(optics=Optics(fancy=False, lens="flat"))))
    assert "lens" not in active and "polish" not in active


def test_only_what_has_an_effect_is_written_and_nothing_of_it_is_missed(tmp_path):
    config = Config(optics=Optics(rate=0.1, lens="flat"))
    content = yaml.safe_load(config_text(config))
    assert content["format"] == FORMAT and list(content["optics"]) == ["rate", "fancy", "coat", "hue"]
    assert "split" not in content
    save_config(tmp_path / "c.yaml", config)
    loaded = _loaded(tmp_path / "c.yaml", (tmp_path / "c.yaml").read_text())
    assert config_difference(loaded, config) == [] and config_text(loaded) == config_text(config)
    full = Config(data="D", optics=Optics(fancy=True, lens="flat", polish=9))
    assert _loaded(tmp_path / "c.yaml", config_text(full)) == full


def test_an_older_config_means_what_its_version_did(tmp_path):
    content = yaml.safe_load(config_text(Config()))
    del content["optics"]["hue"]
    assert tree_from_content(Config, {**content, "format": 2}, path=tmp_path).optics.hue == "gray"
    with pytest.raises(UserError, match="lacks hue"):
        tree_from_content(Config, content, path=tmp_path)
    # What format 3 brought is missed in a file of format 3, though later ones brought more.
    with pytest.raises(UserError, match="lacks hue"):
        tree_from_content(Config, {**content, "format": 3}, path=tmp_path)
    content["optics"]["hue"] = "red"
    assert tree_from_content(Config, {**content, "format": 2}, path=tmp_path).optics.hue == "red"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("image_size"), "lacks image_size; .* a setting is never guessed"),
        (lambda c: c["optics"].pop("rate"), "lacks rate"),
        (lambda c: c.pop("optics"), "lacks coat, fancy, hue, rate"),
        (lambda c: c.update(speed=3), r"unknown settings \(speed\)"),
        (lambda c: c.update({5: 3}), r"unknown settings \(5\)"),
        (lambda c: c["optics"].update(speed=3), r"unknown settings \(speed\)"),
        (lambda c: c.update(image_size="abc"), "image_size: abc is no value of it"),
        (lambda c: c.update(image_size=None), "image_size: None is no value of it"),
        (lambda c: c.update(image_size=64.0), "image_size: 64.0 is no value of it"),
        (lambda c: c.update(image_size=True), "image_size: True is no value of it"),
        (lambda c: c.update(image_size={"a": 1}), r"unknown settings \(a\)"),
        (lambda c: c.update(image_size=4), "--image-size 4: must be 8 or more"),
        (lambda c: c["optics"].update(rate=float("nan")), "must be a number"),
        (lambda c: c["optics"].update(lens="flat"), "--set lens=flat: does nothing here"),
        (lambda c: c.update(optics=5), r"unknown settings \(optics\)"),
    ],
)
def test_a_config_that_says_too_little_or_too_much_is_refused_and_never_filled(tmp_path, change, message):
    content = yaml.safe_load(config_text(Config()))
    change(content)
    with pytest.raises(UserError, match=f"c.yaml: .*{message}"):
        _loaded(tmp_path / "c.yaml", yaml.safe_dump(content))


def test_a_whole_number_is_good_for_a_number(tmp_path):
    text = config_text(Config(optics=Optics(fancy=True))).replace("rate: 0.5", "rate: 0")
    loaded = _loaded(tmp_path / "c.yaml", text)
    assert loaded.optics.rate == 0.0 and isinstance(loaded.optics.rate, float)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "not found; is .* the folder of a run"),
        (b"", "holds no settings"),
        (b"- 1\n", "holds no settings"),
        (b"a: [1\n", "cannot be read as YAML"),
        (b"a: \xe9\n", "cannot be read as YAML"),
        (b"format: 9\n", "of format 9, this version reads 1 to 5"),
        (b"format: 0\n", "of format 0"),
        (b"format: [2]\n", "of format"),
    ],
)
def test_files_that_are_no_config_are_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(UserError, match=f"c.yaml: {message}"):
        read_config_file(tmp_path / "c.yaml")


def test_a_config_of_the_earlier_form_is_read_as_it_is(tmp_path):
    (tmp_path / "c.yaml").write_text("image_size: 64\n")
    assert read_config_file(tmp_path / "c.yaml") == {"image_size": 64}


def test_differences_are_of_what_has_an_effect_and_not_of_places_or_length():
    assert config_difference(Config(), Config(data="elsewhere", steps=9, epochs=0)) == []
    assert config_difference(Config(), Config(optics=Optics(lens="flat", polish=9))) == []
    changed = Config(image_size=32, optics=Optics(fancy=True, lens="flat"))
    assert config_difference(Config(), changed) == [
        "image_size: 64 -> 32",
        "fancy: False -> True",
        "lens: round -> flat",
    ]
    assert config_difference(Config(), Config(steps=9), ignored=()) == ["steps: 5 -> 9"]


def test_a_folder_has_one_spelling():
    spelled = {_parsed("--data", text)["data"] for text in ("DIR", "DIR/", "DIR//")}
    assert spelled == {"DIR"} and _parsed("--data", "/")["data"] == "/"
    assert _made("--data", "drawn/").data == "drawn"


def test_help_says_whose_an_option_is_and_its_defaults():
    parser = argparse.ArgumentParser()
    add_flags(parser, OWNERS)
    text = " ".join(parser.format_help().split())
    for words in (
        "--kind x|y which (default x; of second y)",
        "--image-size INT side (default 64; of second 32)",
        "--depth INT second: how deep (default 2)",
        "rate (first: rate of 5 %; default 0.5)",
        "lens (first: form; round|flat; default round)",
        "colour (second: tint; default empty)",
    ):
        assert words in text, words
    assert text.index("--image-size INT side") < text.index("--depth INT second")


@pytest.mark.parametrize(
    "given, expected",
    [({}, (0, 5)), ({"epochs": 3}, (3, 0)), ({"steps": 9}, (0, 9)), ({"epochs": 0, "steps": 7}, (0, 7))],
)
def test_one_length_takes_the_place_of_the_other(given, expected):
    values = {"epochs": 0, "steps": 5, **given}
    settle_budget(values, given)
    assert (values["epochs"], values["steps"]) == expected


@pytest.mark.parametrize("given", [{"epochs": 3, "steps": 9}, {"steps": 0}, {"epochs": 0, "steps": 0}])
def test_two_lengths_or_none_are_refused(given):
    with pytest.raises(UserError, match="--epochs"):
        settle_budget({"epochs": 0, "steps": 5, **given}, given)


def test_sections_that_trainings_share_have_sound_defaults():
    check_config(RunSection())
    assert values_of(RunSection())["keep_checkpoints"] >= 1
