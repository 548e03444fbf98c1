"""Text of cards is shown, never obeyed."""

from __future__ import annotations

import pytest

from cellgauge.cards import UserError
from cellgauge.report.formula import symbol, to_mathml
from cellgauge.report.prose import inline, to_address, to_html
from cellgauge.report.sources import as_plain_text


def render(text: str) -> str:
    return str(to_html(text, folder="models", root="../../"))


def test_html_is_shown_as_text():
    assert "<script" not in render("<script>alert(1)</script>\n\nx <img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    "target",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "//evil.example/", "file:///etc"],
)
def test_only_http_and_own_pages_are_linked(target):
    assert "href" not in render(f"[x]({target})") or "javascript" not in render(f"[x]({target})").lower()
    assert to_address(target, folder="models") is None


@pytest.mark.parametrize(
    ("written", "leads"),
    [
        ("../metrics/x.md#k", "metrics/x/#k"),
        ("pca.md", "models/pca/"),
        ("../index.md", ""),
        ("../tasks/index.md", "tasks/"),
        ("https://a.example/b", "https://a.example/b"),
        ("../../../../etc/passwd", "etc/passwd"),
        ("#here", "#here"),
    ],
)
def test_links_between_cards_become_links_between_pages(written, leads):
    assert to_address(written, folder="models") == leads


def test_links_start_from_the_page():
    assert 'href="../../metrics/x/"' in render("[x](../metrics/x.md)")


def test_images_are_not_loaded():
    assert "<img" not in render("![a picture](https://a.example/x.png)")
    assert "a picture" in render("![a picture](https://a.example/x.png)")


def test_one_line_has_no_links_and_no_html():
    assert str(inline("*a* `b` [x](http://x) <b>")) == "<em>a</em> <code>b</code> [x](http://x) &lt;b&gt;"


def test_plain_text_is_inert_markdown():
    markdown = pytest.importorskip("markdown")
    hostile = "# h {: .x } *a* _b_ [c](http://d) <script>x</script> {{ 7*7 }} ![i](j) `k` &lt; 1. m\n\n- n"
    rendered = markdown.markdown(as_plain_text(hostile), extensions=["attr_list", "tables", "md_in_html"])
    assert rendered.count("<") == 2, "one paragraph and nothing in it"


def test_a_formula_becomes_mathml():
    mathml = str(to_mathml(r"\frac{a}{b} < 1", "x.md"))
    assert mathml.startswith("<math")
    assert "&lt;" in mathml


@pytest.mark.parametrize("latex", [r"\text{<script>alert(1)</script>}", r"\frac{", r"\href{javascript:alert(1)}{x}"])
def test_a_formula_that_is_none_is_refused_or_harmless(latex):
    try:
        mathml = str(to_mathml(latex, "site_src/metrics/x.md"))
    except UserError as error:
        assert "site_src/metrics/x.md: formula" in str(error)
    else:
        assert "<script" not in mathml
        assert "href=" not in mathml


@pytest.mark.parametrize(
    "latex",
    [
        "\\text{<mark\ttabindex='0'\tautofocus=''\tONFOCUS='alert(1)'>x</mark>}",
        r"\text{<mark\ttabindex='0'\tautofocus=''\tONFOCUS='alert(1)'>x</mark>}",
        r"\text{<meta http-equiv='refresh' content='0;url=https://evil.example'/>}",
        r"\text{<meta http-equiv=refresh>}",
        r"\text{<mglyph src='https://evil.example/x.png'/>}",
        r"\tag{<mglyph src='https://evil.example/x.png'/>}",
        r"\operatorname{<mi>x</mi>}",
        r"x\tag{<mi style='color:red'>x</mi>}",
        r"\text{&lt;b&gt;}",
        r"\text{</mtext></mrow></math><img src='x'/><math><mrow><mtext>}",
        r"\style{background:url(https://evil.example/x.png)}{y}",
        r"\class{md-header}{y}",
        r"\href{https://evil.example}{y}",
        r"\color{url(https://evil.example/x)}{y}",
    ],
)
def test_a_formula_makes_nothing_but_plain_mathml(latex):
    with pytest.raises(UserError, match=r"^site_src/metrics/x\.md: formula: "):
        to_mathml(latex, "site_src/metrics/x.md")


@pytest.mark.parametrize(
    "latex", [r"\text{if } x", r"\begin{cases}a&b\\c&d\end{cases}", "a < b", r"\hat{y}", r"\bigl( x"]
)
def test_usual_formulas_are_drawn(latex):
    assert "<math" in to_mathml(latex, "x.md")


def test_a_formula_is_written_as_browsers_set_it_well():
    made = str(to_mathml(r"\mathrm{median}_i\, |s'_c| + \bar{b} + \min_{c \in C} x", "a card"))
    assert "<mi>median</mi>" in made, "an upright word is one identifier"
    assert "<mo>′</mo>" in made
    assert '<mover accent="true"><mrow><mi>b</mi></mrow><mo stretchy="false">¯</mo></mover>' in made
    assert "<munder><mo>min</mo>" in made


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("n_ij is the size of a cell i", "<i>n</i><sub><i>ij</i></sub> is the size of a cell <i>i</i>"),
        ("TP_c is one", "TP<sub><i>c</i></sub> is one"),
        ("b̄_c(i) and ŷ_i", "<i>b̄</i><sub><i>c</i></sub>(<i>i</i>) and <i>ŷ</i><sub><i>i</i></sub>"),
        ("a(i) is Pearson's", "<i>a</i>(<i>i</i>) is Pearson&#39;s"),
        ("A type of I <b>", "A type of I &lt;b&gt;"),
    ],
)
def test_letters_of_a_formula_look_the_same_below_it(line, wanted):
    assert symbol(line) == wanted
