"""A thin layer over the Grafana SDK: what a panel of ours is, and nothing else.

Grafana has three dashboard models. Files can provision the classic one only, which the SDK
deprecates; when that changes, this module does, and the dashboards do not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import prometheus as prometheus_models

COLUMNS = 24
SOURCE = common.DataSourceRef(type_val="prometheus", uid="prometheus")

GREEN, ORANGE, RED = "green", "orange", "red"

#: One colour for one outcome, on every panel.
OUTCOME_COLOURS = {
    "ok": "green",
    "error": "red",
    "timeout": "orange",
    "cpu_limit": "dark-orange",
    "out_of_memory": "purple",
    "pids_limit": "dark-purple",
    "disk_limit": "dark-yellow",
    "output_limit": "yellow",
    "cancelled": "text",
    "refused": "blue",
    "interrupted": "light-blue",
    "image_unavailable": "dark-blue",
    "engine_error": "dark-red",
    "killed": "light-red",
}


@dataclass(frozen=True, kw_only=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`steps` are pairs of a value and the colour from it on; the first value is None."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    width: int
    height: int = 8
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    link: str = ""

    def builder(self) -> Any:
        raise NotImplementedError

    def build(self) -> Any:
        built = (
            self.builder()
            .title(self.title)
            .description(self.description)
            .datasource(SOURCE)
            .unit(self.unit)
            .thresholds(
                builders.ThresholdsConfig()
                .mode(dashboard.ThresholdsMode.ABSOLUTE)
                .steps(
                    [dashboard.Threshold(value=value, color=colour) for value, colour in self.steps]
                )
            )
        )
        for number, query in enumerate(self.queries):
            built = built.with_target(self.target(query).ref_id(chr(ord("A") + number)))
        if self.link:
            built = built.data_links(
                [
                    builders.DashboardLink("Look closer")
                    .url(self.link)
                    .target_blank(target_blank=False)
                ]
            )
        return built

    def target(self, query: Query) -> Any:
        return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range()


@dataclass(frozen=True, kw_only=True)
class Stat(Panel):
    """One number that says whether something needs attention."""

    height: int = 4
    is_background: bool = True

    def builder(self) -> Any:
        mode = (
            common.BigValueColorMode.BACKGROUND
            if self.is_background
            else common.BigValueColorMode.VALUE
        )
        return (
            stat.Panel()
            .color_mode(mode)
            .graph_mode(common.BigValueGraphMode.NONE)
            .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
            .reduce_options(
                common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
            )
            .no_value("none")
        )

    def target(self, query: Query) -> Any:
        return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).instant()


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Series over time; `is_stacked` draws bars that add up."""

    is_stacked: bool = False
    colours: dict[str, str] = field(default_factory=dict)

    def builder(self) -> Any:
        built = (
            timeseries.Panel()
            .legend(
                common_builders.VizLegendOptions()
                .display_mode(common.LegendDisplayMode.TABLE)
                .placement(common.LegendPlacement.BOTTOM)
                .show_legend(show_legend=True)
                .calcs(["lastNotNull", "max"])
            )
            .tooltip(
                common_builders.VizTooltipOptions()
                .mode(common.TooltipDisplayMode.MULTI)
                .sort(common.SortOrder.DESCENDING)
            )
            .min(0)
            .show_points(common.VisibilityMode.NEVER)
        )
        if self.is_stacked:
            built = (
                built.draw_style(common.GraphDrawStyle.BARS)
                .fill_opacity(80)
                .stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
            )
        for name, colour in self.colours.items():
            built = built.override_by_name(
                name,
                [dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})],
            )
        return built


@dataclass(frozen=True, kw_only=True)
class States(Panel):
    """On or off over time; 1 is good."""

    def builder(self) -> Any:
        return (
            statetimeline.Panel()
            .show_value(common.VisibilityMode.NEVER)
            .merge_values(merge_values=True)
            .legend(
                common_builders.VizLegendOptions()
                .display_mode(common.LegendDisplayMode.LIST)
                .placement(common.LegendPlacement.BOTTOM)
                .show_legend(show_legend=False)
                .calcs([])
            )
            .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
            .mappings(
                [
                    dashboard.ValueMap(
                        options={
                            "0": dashboard.ValueMappingResult(text="down", color=RED, index=0),
                            "1": dashboard.ValueMappingResult(text="up", color=GREEN, index=1),
                        }
                    )
                ]
            )
        )


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """The latest labels as rows; `columns` maps a label to its heading, in order."""

    columns: dict[str, str] = field(default_factory=dict)

    def builder(self) -> Any:
        organise = {
            "includeByName": dict.fromkeys(self.columns, True),
            "indexByName": {name: place for place, name in enumerate(self.columns)},
            "renameByName": {name: title for name, title in self.columns.items() if name != title},
        }
        return (
            table.Panel()
            .with_transformation(
                dashboard.DataTransformerConfig(id_val="organize", options=organise)
            )
            .no_value("none")
        )

    def target(self, query: Query) -> Any:
        return (
            prometheus.Dataquery()
            .expr(query.expr)
            .legend_format(query.legend)
            .instant()
            .format(prometheus_models.PromQueryFormat.TABLE)
        )


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """Values of one label, several of which may be chosen."""

    name: str
    label: str
    query: str

    def build(self) -> Any:
        return (
            builders.QueryVariable(self.name)
            .label(self.label)
            .query({"query": self.query, "refId": f"{self.name}-values"})
            .datasource(SOURCE)
            .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".+")
            .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
        )


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    links: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """The classic JSON, with the places and numbers of the panels set here."""
        built = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(["heimnetz"])
            .timezone("browser")
            .time("now-1h", "now")
            .refresh("30s")
            .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
            .readonly()
        )
        for variable in self.variables:
            built = built.with_variable(variable.build())
        for title, url in self.links:
            built = built.link(
                builders.DashboardLink(title)
                .type(dashboard.DashboardLinkType.LINK)
                .url(url)
                .keep_time(keep_time=True)
                .icon("dashboard")
            )
        document: dict[str, Any] = json.loads(json.dumps(built.build(), cls=JSONEncoder))
        document["panels"] = self._panels()
        document["annotations"] = {"list": []}
        for variable in document["templating"].setdefault("list", []):
            for key in [key for key in variable if key.startswith("auto")]:
                del variable[key]
        return document

    def _panels(self) -> list[dict[str, Any]]:
        panels: list[dict[str, Any]] = []
        top = 0
        for row in self.rows:
            heading = {
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            }
            panels.append(heading)
            left, top, deepest = 0, top + 1, 0
            for panel in row.panels:
                if left + panel.width > COLUMNS:
                    left, top, deepest = 0, top + deepest, 0
                built = json.loads(json.dumps(panel.build().build(), cls=JSONEncoder))
                # The SDK still writes what Grafana 13 took out of tables.
                built.get("options", {}).pop("footer", None)
                built["gridPos"] = {"x": left, "y": top, "w": panel.width, "h": panel.height}
                panels.append(built)
                left, deepest = left + panel.width, max(deepest, panel.height)
            top += deepest
        for number, document in enumerate(panels, start=1):
            document["id"] = number
        return panels
