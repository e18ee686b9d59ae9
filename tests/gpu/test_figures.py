from __future__ import annotations

from pathlib import Path

from tests.gpu.figures import BEGIN, END, NOTHING, Figures, write_figures


def figures_of(card: str, value: int) -> Figures:
    figures = Figures({"card": card, "driver": "1.2"}, outcome="3 passed")
    figures.add("Time:", {"loss": "a|b", "ms": value})
    figures.add("Time:", {"loss": "c", "error": "out of memory"})
    return figures


def test_each_card_has_a_section_and_the_newest_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    page.write_text(f"before\n\n{BEGIN}\n\n{NOTHING}\n\n{END}\nafter\n")
    for figures in (figures_of("Card B", 7), figures_of("Card", 8), figures_of("Card B", 9)):
        write_figures(page, figures)
    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n\n### Card\n")
    assert text.endswith(f"\n\n{END}\nafter\n")
    assert text.count("### Card B\n") == 1
    assert (
        ": driver 1.2. Tests: 3 passed.\n\nTime:\n\n| loss | ms | error |\n| --- | --- | --- |\n| a/b | 9 |  |\n"
        in text
    )
    assert "| c |  | out of memory |" in text
    assert "| a/b | 7 |" not in text
    assert NOTHING not in text


def test_readme_and_the_page_say_whether_a_gpu_has_run_this(project: Path) -> None:
    page = (project / "docs" / "gpu.md").read_text()
    measured = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert (measured == NOTHING) == ("Nothing here has been run on a GPU yet" in (project / "README.md").read_text())
    assert measured == NOTHING or measured.startswith("### ")
