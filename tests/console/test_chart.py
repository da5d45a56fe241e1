"""Charts: they hold every point, differ without color, and escape names."""

import re
import xml.etree.ElementTree as ET

from tallykeeper_console.views.chart import SERIES_MAX, Series, scale_of, step_chart


def test_a_scale_holds_all_points_and_zero_with_round_numbers() -> None:
    scale = scale_of([Series("a", ((0.0, 3.0), (10.0, 47.0))), Series("b", ((5.0, -4.0),))])

    assert (scale.begin, scale.end, scale.step) == (0.0, 10.0, 20.0)
    assert (scale.low, scale.high) == (-20.0, 60.0)
    assert scale.y(scale.low) > scale.y(0) > scale.y(scale.high)


def test_a_single_point_has_a_scale() -> None:
    scale = scale_of([Series("a", ((7.0, 0.0),))])

    assert scale.end > scale.begin
    assert scale.high > scale.low


def test_a_line_keeps_each_value_until_the_next_point() -> None:
    drawing = step_chart([Series("a", ((0.0, 0.0), (1.0, 4.0), (2.0, 4.0)))], title="t")

    (path,) = re.findall(r'class="line style-0" d="([^"]+)"', drawing)
    assert re.fullmatch(r"M[\d.]+ [\d.]+(H[\d.]+V[\d.]+)+H[\d.]+", path)


def test_lines_have_a_style_and_a_label_each() -> None:
    drawing = step_chart([Series("berlin", ((0.0, 1.0),)), Series("main", ((0.0, 1.0),))], title="t")

    labels = re.findall(r'class="label style-(\d)" x="[\d.]+" y="([\d.]+)"><title>(\w+)</title>', drawing)
    assert [(style, name) for style, _, name in labels] == [("0", "berlin"), ("1", "main")]
    first, second = (float(y) for _, y, _ in labels)
    assert second - first >= 15


def test_names_are_escaped_and_the_drawing_is_well_formed() -> None:
    drawing = step_chart([Series("<script>&" + "x" * 40, ((0.0, 1.0),))], title='"<b>')

    assert "<script>" not in drawing
    root = ET.fromstring(drawing)  # noqa: S314  # the drawing is ours
    assert root.get("aria-label") == '"<b>'


def test_without_points_there_is_no_drawing() -> None:
    assert step_chart([Series("a", ())], title="t") == ""


def test_a_chart_draws_a_limited_number_of_lines() -> None:
    drawing = step_chart([Series(str(index), ((0.0, index),)) for index in range(100)], title="t")

    assert drawing.count('class="line ') == SERIES_MAX
