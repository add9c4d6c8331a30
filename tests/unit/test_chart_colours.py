"""Lines are told apart in grey, and by readers without red or green cones: in numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dfaas_lab.charts import colours
from dfaas_lab.charts.colours import LineStyle

# Linear sRGB to what is seen without the long (protanopia) or medium (deuteranopia) cones: Machado,
# Oliveira & Fernandes (2009), severity 1.0.
_SEEN = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
_TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
TOGETHER = [colours.P50, colours.P95, colours.P99]


def linear(colour: str) -> np.ndarray:
    """Return an sRGB colour as linear light: IEC 61966-2-1."""
    encoded = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def cielab(light: np.ndarray) -> np.ndarray:
    """Return linear light as CIE L*a*b* (D65)."""
    xyz = np.array(_TO_XYZ) @ light / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def lightness(colour: str) -> float:
    return float(cielab(linear(colour))[0])


def contrast(colour: str, ground: str = "#FFFFFF") -> float:
    """Return the contrast ratio of WCAG 2.1."""
    low, high = sorted(float(linear(one) @ [0.2126, 0.7152, 0.0722]) for one in (colour, ground))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("pair", list(itertools.combinations(TOGETHER, 2)))
def test_quantiles_differ_in_lightness_and_dash(pair: tuple[LineStyle, LineStyle]) -> None:
    assert abs(lightness(pair[0].colour) - lightness(pair[1].colour)) > 15
    assert pair[0].dash != pair[1].dash


@pytest.mark.parametrize("seen", list(_SEEN))
def test_median_and_p95_differ_for_every_reader(seen: str) -> None:
    light = [np.clip(np.array(_SEEN[seen]) @ linear(one.colour), 0, 1) for one in TOGETHER[:2]]
    assert np.linalg.norm(cielab(light[0]) - cielab(light[1])) > 40


def test_groups_have_each_their_own_dash() -> None:
    assert len({style.dash for style in colours.GROUPS}) == len(colours.GROUPS)


@pytest.mark.parametrize("colour", [colours.TEXT, colours.FAINT])
def test_text_can_be_read(colour: str) -> None:
    assert contrast(colour) >= 4.5


@pytest.mark.parametrize("style", [*TOGETHER, colours.MOST, *colours.GROUPS[3:5]])
def test_lines_can_be_seen(style: LineStyle) -> None:
    assert contrast(style.colour) >= 3.0
