"""The warnings of a run on its page."""

from pathlib import Path

from beast_lp.reports.run_warnings import warnings_of, warnings_section


def test_a_run_without_warnings_has_no_section(tmp_path: Path) -> None:
    assert list(warnings_of(tmp_path)) == []


def test_pages_of_a_library_are_cut_and_sentences_are_not() -> None:
    sentence = 'x ' * 140 + 'end.'
    (section,) = warnings_section([sentence, 'word ' * 500])
    (_, whole), (good, cut) = section.findings
    assert whole == sentence and good is False
    assert len(cut) <= 300 and cut.endswith('word …')
