import tomllib
from pathlib import Path

import pytest
from castalia_console import CONFIG

from castalia.apps.simulate.config import parse_config
from castalia.errors import ConfigError
from castalia.estimators.registry import preset
from castalia.runs.configuration import load_config, resolved_toml

FOLDER = Path("/some/folder")


def text(model="", training="", epochs=7):
    return CONFIG.format(files='"a.root"', model=model, training=training, epochs=epochs)


def parsed(source, **options):
    return parse_config(source, FOLDER / "c.toml", FOLDER, **options)


def test_writing_and_reading_back_changes_nothing():
    config = parsed(text('[model]\npreset = "spline"\noptions = { blocks = 2 }', "patience = 3"))
    # As the run folder keeps it, in another place.
    assert parse_config(resolved_toml(config), Path("run/config.toml"), Path("run")) == config


def test_file_names_are_relative_to_the_file():
    config = parsed(text().replace('"a.root"', '"a.root", "../b_*.root", "/c/d.root"'))
    assert config.data.files == ("/some/folder/a.root", "/some/folder/../b_*.root", "/c/d.root")


def test_a_folder_with_pattern_characters_is_taken_literally(tmp_path):
    folder = tmp_path / "run [1]*"
    folder.mkdir()
    (folder / "a.root").touch()
    (folder / "c.toml").write_text(text())
    assert load_config(parse_config, folder / "c.toml").data.paths(Path()) == (folder / "a.root",)


def test_the_paper_is_trained_as_the_paper_says():
    training = parsed(text('[model]\npreset = "paper"').replace("epochs = 7", "")).training
    assert (training.epochs, training.batch_size, training.schedule, training.power) == (500, 512, "power", 0.5)
    assert (training.learning_rate, training.final_learning_rate) == (1e-3, 1e-5)
    assert training.metric == "mean_wasserstein"
    assert parsed(text('[model]\npreset = "paper"')).training.epochs == 7, "the file has the last word"


def test_a_seed_on_the_command_line_takes_the_place_of_the_files():
    assert parsed(text(training="seed = 4")).training.seed == 4
    assert parsed(text(training="seed = 4"), seed=9).training.seed == 9


def test_a_model_is_a_preset_with_options_or_an_estimator_with_its_own():
    name, options = preset("spline")
    assert parsed(text('[model]\npreset = "spline"\noptions = { blocks = 2 }')).model.resolve() == (
        name,
        {**options, "blocks": 2},
    )
    own = '[model]\nestimator = "mine"\noptions = { size = 2 }'
    assert parsed(text(own)).model.resolve() == ("mine", {"size": 2})
    with pytest.raises(ConfigError, match="no preset 'none'"):
        parsed(text('[model]\npreset = "none"')).model.resolve()


@pytest.mark.parametrize("section", ["data", "condition", "target"])
def test_what_cannot_be_left_out(section):
    raw = tomllib.loads(text())
    del raw[section]
    import tomli_w

    with pytest.raises(ConfigError, match=section):
        parsed(tomli_w.dumps(raw))


@pytest.mark.parametrize("line", ["model = 3", "training = []", "data = 'a'"])
def test_a_section_that_is_none(line):
    section = line.split()[0]
    kept = "\n".join(part for part in text().split("\n\n") if f"[{section}]" not in part)
    with pytest.raises(ConfigError, match=section):
        parsed(line + "\n" + kept)


def test_what_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(parse_config, tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(parse_config, tmp_path)
    (tmp_path / "latin.toml").write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(parse_config, tmp_path / "latin.toml")
