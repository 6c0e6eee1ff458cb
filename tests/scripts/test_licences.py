"""Every pinned package has its row; none has a licence that ours cannot live with."""

import re

import pytest

from scripts import licences


def rows() -> dict[str, tuple[str, str]]:
    """{package: (version, licence)} of the page."""
    found = re.findall(
        r"^\| (\S+) \| (\d\S*) \| (.+?) \|", licences.PAGE.read_text(), re.M
    )
    return {name: (version, licence) for name, version, licence in found}


def test_every_pinned_package_has_a_row_of_its_version():
    listed = {name: version for name, (version, _) in rows().items()}
    assert listed == licences.pinned(), "run make licences"


def test_every_licence_lets_mit_software_depend_on_it():
    for name, (_, licence) in rows().items():
        assert licences.is_allowed(licence), f"{name}: {licence}"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-only OR BSD-3-Clause", True),
        ("MIT AND Zlib OR AGPL-3.0-only", True),
        ("", False),
        ("UNKNOWN", False),
    ],
)
def test_or_leaves_the_choice_and_does_not(expression, allowed):
    assert licences.is_allowed(expression) == allowed


def about(text):
    from email import message_from_string

    return message_from_string(text)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("License-Expression: MIT AND Zlib\nLicense: GPL", "MIT AND Zlib"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: Ours\nClassifier: License :: OSI Approved :: MIT License", "MIT"),
    ],
)
def test_what_a_package_says_of_itself(monkeypatch, text, licence):
    monkeypatch.setattr(licences.metadata, "metadata", lambda name: about(text))
    assert licences.licence("some") == licence


def test_an_unknown_licence_is_refused(monkeypatch):
    text = "License: Ask me\nClassifier: Topic :: Games"
    monkeypatch.setattr(licences.metadata, "metadata", lambda name: about(text))
    with pytest.raises(SystemExit, match=r"some: which licence is \['Ask me'\]"):
        licences.licence("some")
