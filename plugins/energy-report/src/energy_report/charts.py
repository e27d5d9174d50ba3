"""Two SVG files that need nothing from the network: no script, no font, no style sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#333333",
    foreground_strong="#111111",
    foreground_subtle="#666666",
    colors=("#1f6f8b", "#e07a1f"),
    font_family="sans-serif",
    title_font_size=20,
    label_font_size=12,
    major_label_font_size=12,
    value_font_size=11,
    legend_font_size=13,
)


def draw_months(months: Sequence[dict[str, Any]], total_kwh: float, to: Path) -> None:
    chart = pygal.Bar(
        **_common(f"{total_kwh:,.0f} kWh by month"),
        show_legend=False,
        print_values=True,
        print_values_position="top",
        x_label_rotation=30 if len(months) > 12 else 0,
        value_formatter=lambda value: f"{value:,.0f}",
        y_title="kWh",
        range=None,
        include_x_axis=True,
    )
    chart.x_labels = [month["month"] for month in months]
    chart.add("kWh", [month["kwh"] for month in months])
    _save(chart, to)


def draw_profile(
    workday: Sequence[float | None], weekend: Sequence[float | None], to: Path
) -> None:
    chart = pygal.Line(
        **_common("Mean power by hour of the day"),
        legend_at_bottom=True,
        dots_size=2,
        value_formatter=lambda value: f"{value:.2f} kW",
        y_title="kW",
        include_x_axis=True,
    )
    chart.x_labels = [f"{hour:02}" for hour in range(24)]
    chart.add("workdays", workday)
    chart.add("weekends", weekend)
    _save(chart, to)


def _common(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "style": STYLE,
        "js": (),
        "pretty_print": False,
        "disable_xml_declaration": True,
        "width": 900,
        "height": 480,
        "no_data_text": "no readings",
    }


def _save(chart: Any, to: Path) -> None:
    chart.uuid = to.stem  # instead of a random one: the same readings draw the same bytes
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            is_comment = not isinstance(child.tag, str)  # it holds today's date
            if is_comment or child.tag.endswith("script"):
                parent.remove(child)
    to.write_bytes(ET.tostring(root, encoding="utf-8"))
