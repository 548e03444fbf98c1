"""What contributors write is only ever text: hostile text in every field of cards and results that takes text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from cellgauge.cards import DatasetCard, MetricCard, ModelCard, TaskCard
from cellgauge.cards.read import read_front
from cellgauge.report.build import build_site
from cellgauge.results.maps import EmbeddingMap, map_path
from cellgauge.results.profile import DatasetProfile, profile_path
from cellgauge.results.store import seal, to_json

pytestmark = pytest.mark.site

HOSTILE = (
    "\"><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} {% raw %} {: .x onclick=y } `a` *b* # '&lt;"
)
BODY = f"{HOSTILE}\n\n[x](javascript:alert(1)) <b onclick=x> ![i](https://elsewhere.example/i.png)\n\n---\n\ntitle: x\n"
SCHEMAS = {"models": ModelCard, "datasets": DatasetCard, "metrics": MetricCard, "tasks": TaskCard}
LEFT_OUT = {"formula"}
"""LaTeX is no free text: what would become markup is refused, and what is harmless is put in below."""

Keys = tuple[str | int, ...]


def texts(value: Any, keys: Keys = ()) -> Iterator[Keys]:
    if isinstance(value, str):
        yield keys
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from texts(one, (*keys, key))


def put(values: Any, keys: Keys, text: str) -> Any:
    """Return a copy with another text in one place."""
    copy = json.loads(json.dumps(values, default=str))
    place = copy
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = text
    return copy


def poison(
    values: dict[str, Any], whose: str, accepts: Callable[[dict[str, Any]], object]
) -> tuple[dict[str, Any], list[Keys]]:
    """Put hostile text into every text that may be any text, with a word of its own for names must differ."""
    poisoned = []
    for keys in list(texts(values)):
        if keys[0] in LEFT_OUT:
            continue
        place = f" {keys[-1]}" if isinstance(keys[-1], int) else ""
        changed = put(values, keys, f"{HOSTILE} {whose}{place}")
        try:
            accepts(changed)
        except (ValidationError, ValueError):
            continue
        values = changed
        poisoned.append(keys)
    return values, poisoned


def poison_card(path: Path, schema: type[BaseModel]) -> list[Keys]:
    front = read_front(path, path.name)
    values, poisoned = poison(
        front.values,
        path.stem,
        lambda changed: schema.model_validate({**changed, "id": front.id, "body": "", "path": path.name}),
    )
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=10_000)
    path.write_text(f"---\n{text}---\n{BODY}", encoding="utf-8")
    return poisoned


def poison_result(path: Path) -> list[Keys]:
    values = json.loads(path.read_text(encoding="utf-8"))
    values["details"][HOSTILE] = {HOSTILE: 1.5}
    values, poisoned = poison(values, path.stem, lambda changed: seal(json.loads(json.dumps(changed))))
    path.write_bytes(to_json(seal(values)))
    return poisoned


def poison_file(path: Path, schema: type[BaseModel], whose: str) -> list[Keys]:
    values = json.loads(path.read_text(encoding="utf-8"))
    values, poisoned = poison(values, whose, lambda changed: schema.model_validate_json(json.dumps(changed)))
    path.write_bytes(to_json(schema.model_validate_json(json.dumps(values))))
    return poisoned


class Elements(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert not str(attributes.get("href", "")).strip().lower().startswith(("javascript:", "data:", "vbscript:"))
        assert attributes.get("src") != "x"
        assert "elsewhere.example" not in str(attributes.get("src"))
        if tag == "script":
            is_data = attributes == {"type": "application/ld+json"}
            assert "src" in attributes or attributes.get("id") == "__config" or is_data or not attributes


def test_every_text_of_every_card_and_result_is_only_text(project, release, edit) -> None:
    edit(
        "site_src/metrics/adjusted-rand-index.md",
        r"\mathrm{ARI} =",
        r'\mathrm{ARI} = \text{" onfocus=alert(1) autofocus} +',
    )
    poisoned: dict[str, list[Keys]] = {}
    for kind, schema in SCHEMAS.items():
        for path in sorted((project.source / "site_src" / kind).glob("*.md")):
            if not path.read_text(encoding="utf-8").count("\nmembers:"):
                poisoned[f"{kind}/{path.name}"] = poison_card(path, schema)
    assert {"name", "summary", "hardware", "limits"} <= {str(keys[0]) for keys in poisoned["models/svd.md"]}
    assert {"question", "procedure", "references"} <= {str(keys[0]) for keys in poisoned["tasks/clustering.md"]}
    assert {"misleads", "symbols", "sources"} <= {str(keys[0]) for keys in poisoned["metrics/adjusted-rand-index.md"]}
    assert {"assay", "provenance", "not_used"} <= {str(keys[0]) for keys in poisoned["datasets/toy-blood.md"]}

    release.__init__(project)  # the cards have changed
    for dataset in ("pbmc68k-reduced", "toy-blood"):
        for model in ("pca", "svd", "raw-expression", "random"):
            release.add("clustering", dataset, model, 0.5)
    release.add_empty("clustering", "pbmc68k-reduced", "nmf", "failed", HOSTILE)
    release.plan("clustering", "toy-blood", "nmf", "not_applicable", HOSTILE)
    release.count("toy-blood")
    for model in ("pca", "svd"):
        release.add_map("toy-blood", model)
    release.add_map("toy-blood", "raw-expression", reason=HOSTILE)
    release.finish()
    release_file = release.folder / "release.yaml"
    about = yaml.safe_load(release_file.read_text(encoding="utf-8"))
    release_file.write_text(yaml.safe_dump({**about, "title": HOSTILE}), encoding="utf-8")
    # One word for all: what cells are is the same on every map.
    in_profile = poison_file(profile_path(release.folder, "toy-blood"), DatasetProfile, "group")
    assert {keys[2] for keys in in_profile if keys[0] == "compositions"} == {"row_names", "column_names"}
    for model in ("pca", "svd"):
        in_map = poison_file(map_path(release.folder, "toy-blood", model), EmbeddingMap, "group")
        assert ("columns", "label", "names", 0) in in_map
    for model in ("svd", "nmf"):
        in_result = poison_result(release.folder / f"clustering/pbmc68k-reduced/{model}.json")
        assert ("reason",) in in_result or ("leakage", "evidence") in in_result
    site = build_site(project, None, project.work / "site", say=lambda _: None)

    times = 0
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script>alert" not in text, path
        assert " 49 " not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL), f"{path}: a template was run"
        Elements().feed(text)
        times += text.count("&lt;script&gt;alert(1)")
    maps = (site / "datasets/toy-blood/index.html").read_text(encoding="utf-8").partition('id="maps"')[2]
    assert maps.count("&lt;script&gt;alert(1)") > 4, "names of groups in the legend, and why there is no map"
    for path in site.rglob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8"), path
    assert times > sum(map(len, poisoned.values())) / 2, "most of it is shown somewhere, as text"
    title = re.search(r"<title>(.*?)</title>", (site / "models/svd/index.html").read_text(encoding="utf-8"), re.DOTALL)
    assert "&lt;script&gt;" in title[1]
    assert "<script" not in (site / "search/search_index.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "trick",
    [
        "fragment: ../../../../etc/passwd",
        "template: main.html",
        "search: {exclude: true}",
        "hide: [navigation]",
        "id: other",
        "body: text",
        "path: elsewhere.md",
    ],
)
def test_front_matter_of_a_card_cannot_steer_the_theme(project, edit, trick: str) -> None:
    from cellgauge.cards import UserError, load_cards

    edit("site_src/models/svd.md", "---\nname:", f"---\n{trick}\nname:")
    with pytest.raises(UserError, match=trick.partition(":")[0]):
        load_cards(project)
