"""What a training cannot be asked for ends in one line before anything is written."""

import train_cyclegan
from common_tf.command_line import run_script

TINY = ("--image-size", 32, "--precision", "float32")


def test_bad_combinations_are_one_line(phantom_folder, tmp_path, monkeypatch, capsys):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("tensorflow.keras.utils.get_file", offline)
    run = ("--run", tmp_path / "run", *TINY)
    fold = tmp_path / "folds" / "fold-0" / "weights"
    fold.mkdir(parents=True)
    (fold / "detector.json").touch()
    cases = (
        (("--model", "pix2pix", "--data", phantom_folder), "learns from aligned pairs"),
        (("--model", "medgan", "--set", "extractor=vgg19"), "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        (("--model", "medgan", "--set", f"extractor={phantom_folder}"), "no weights/detector.json"),
        (("--model", "medgan", "--set", f"extractor={tmp_path / 'folds'}"), "one of its folds, such as"),
        (("--model", "medgan", "--set", "extractor=resnet"), "wants efficientnetlite0, vgg16, vgg19"),
        (("--model", "medgan", "--set", "style_weight=0"), "without them it is cyclegan"),
        (("--preset", "notebook", "--model", "unit"), "that preset is one of cyclegan"),
        (("--model", "unit", "--set", "direction=a_to_b"), "models cut, fastcut, pix2pix have it"),
        (("--model", "pix2pix", "--set", "outline_weight=1"), "not a setting of this model"),
        (("--model", "cut", "--set", "cycle_flips=true"), "not a setting of this model"),
        (("--model", "cut", "--set", "ssim_cycle_weight=1"), "cyclegan, medgan, pccgan, unit have it"),
        (("--model", "nothing"), "must be one of cyclegan, cut"),
        (("--set", "critic_share=0"), "critic_share"),
    )
    for words, reason in cases:
        assert run_script(train_cyclegan.main, [str(word) for word in (*run, *words)]) == 2, words
        complaint = capsys.readouterr().err
        assert reason in complaint and complaint.count("\n") == 1, complaint
        assert not (tmp_path / "run").exists()
