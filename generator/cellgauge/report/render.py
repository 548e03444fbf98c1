"""From templates to fragments: everything a page shows that is not the frame around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cellgauge.report import cells, numbers, table_html
from cellgauge.report.address import Address
from cellgauge.report.axes import Spec, specs_of
from cellgauge.report.cite import Cited
from cellgauge.report.colours import model_colours
from cellgauge.report.comparison import TaskComparison, compare_task
from cellgauge.report.counted import is_too_wide
from cellgauge.report.embedded import for_scripts
from cellgauge.report.forks import beside
from cellgauge.report.formula import symbol, to_mathml
from cellgauge.report.health import healths
from cellgauge.report.lists import counts_in_words, range_text, taken_values
from cellgauge.report.maps import MAP_BOX, DatasetMaps, dataset_maps
from cellgauge.report.missing import MEANING
from cellgauge.report.pairs import ModelPair, compare_pairs
from cellgauge.report.prose import inline, to_html
from cellgauge.report.quality import Quality, inspect
from cellgauge.report.release import ReleaseView
from cellgauge.report.tables import Badge


def templates_in(folder: Path) -> Environment:
    """Return the templates in a folder: everything that is put into them is escaped, and nothing may be missing."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def to_include(html: str) -> str:
    """Return a fragment as the theme's templates may include it: nothing in it is read as one."""
    return html.replace("{", "&#123;")


class Renderer:
    """Draws the fragments of one release."""

    def __init__(
        self,
        view: ReleaseView,
        templates: Path,
        draw: Callable[[Spec], str],
        vega: str,
        *,
        address: Address | None = None,
    ) -> None:
        """Prepare for drawing.

        Parameters
        ----------
        draw
            Returns the SVG of a specification, or what is replaced by it later.
        vega
            The address of the script that makes figures interactive, below the site's root.
        address
            Where the site will be.
        """
        self.view, self.address = view, address or Address()
        self.comparisons: dict[str, TaskComparison] = {
            task.id: compare_task(view, task) for task in view.cards.tasks.values()
        }
        with beside(partial(inspect, view, self.comparisons)) as inspected:
            self.healths = healths(view, self.comparisons.values())
            # What others measured has no replicates, and no two models of it can be told apart.
            compared = {} if view.is_reported else self.comparisons
            self.pairs: dict[tuple[str, str], ModelPair] = compare_pairs(view, compared)
            self.quality: Quality = inspected()
        self.maps: dict[str, DatasetMaps] = {
            dataset.id: dataset_maps(view, dataset, self._order_on(dataset.id))
            for dataset in view.cards.datasets.values()
        }
        self.colours = model_colours(
            view.cards.models.values(),
            [[row.model.id for row in one.ranked] for each in self.comparisons.values() for one in each.datasets],
        )
        self._draw = draw
        self._environment = templates_in(templates)
        self._environment.globals.update(
            view=view,
            cards=view.cards,
            comparisons=self.comparisons,
            colours=self.colours,
            quality=self.quality,
            compared={id_ for pair in self.pairs for id_ in pair},
            draw=self._drawing,
            badge=table_html.badge,
            primary_badge=Badge("primary", "baseline", "Verdicts use it alone"),
            table_html=table_html.table,
            for_scripts=for_scripts,
            specs_of=specs_of,
            vega=vega,
            inline=inline,
            listing=numbers.listing,
            map_box=MAP_BOX,
            mathml=to_mathml,
            percent=numbers.percent,
            plural=numbers.plural,
            short_digest=numbers.short_digest,
            range_text=range_text,
            counts_in_words=counts_in_words,
            taken_values=taken_values,
            is_too_wide=is_too_wide,
            symbol=symbol,
            status_text=cells.status_text,
            why_empty=cells.why_empty,
            meaning_of=MEANING,
            dataset_badges=cells.dataset_badges,
            leakage_meaning=cells.LEAKAGE,
            not_audited=cells.NOT_AUDITED,
            gate_names=cells.gate_names,
            gate_outcomes=cells.GATE_OUTCOMES,
            page_of=cells.page_of,
        )

    def fragment(self, template: str, path: str, **values: Any) -> str:
        """Render a template for the page at ``path``; links in it start from there."""
        root = "../" * path.count("/")

        def to(address: str) -> str:
            if address.startswith(("http://", "https://", "#")):
                return address
            return (root + address) or "./"

        def markdown(text: str, folder: str, below: int = 2) -> Markup:
            return to_html(text, folder=folder, root=root, below=below)

        html = self._environment.get_template(template).render(to=to, markdown=markdown, root=root, path=path, **values)
        return to_include(html)

    def cited(self, path: str, title: str = "", digest: str | None = None, digest_of: str = "Content") -> Cited | None:
        """Return how the page at ``path`` is cited; None where there is no release, or it has no results.

        Parameters
        ----------
        title
            What the page is about; empty for the release as a whole, which is cited by its manifest.
        """
        cited = self.view.cited(f"{self.address.site}{path}", title, digest, digest_of)
        before = self.view.previous if self.view.had_before(path) else None
        previous = None if before is None else self.address.in_release(before, path)
        return cited and replace(cited, latest=self.address.latest(path), previous=previous)

    def _order_on(self, dataset: str) -> list[str]:
        """Return the models on a dataset in the order of its page's figures, the first task's first."""
        found = [one for comparison in self.comparisons.values() if (one := comparison.on(dataset)) is not None]
        return list(dict.fromkeys(row.model.id for one in found for row in one.rows))

    def _drawing(self, spec: Spec) -> Markup:
        return Markup(self._draw(spec))  # noqa: S704 (drawn from numbers; Vega escapes text)
