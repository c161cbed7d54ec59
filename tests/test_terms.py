"What is written in two ways has the same terms: forms of a word, accents, codes, dates, numbers and units."

import unicodedata
from pathlib import Path

import pytest

from ragwb.documents.language import terms
from ragwb.generation.question_words import codes_of
from ragwb.settings import Settings
from ragwb.workbench import Workbench


@pytest.mark.parametrize("forms", [
    "Lübeck Luebeck Lubeck", "Göttingen Goettingen Gottingen", "Ærø Aeroe Aero", "Århus Aarhus Arhus", "Müllers Muellers Müller", "Café Cafe", "Łódź Lodz", "Straße Strasse",
    "Frist Fristen", "Wohnung Wohnungen", "Häuser Haus Haeusern", "Mieter Mietern", "Pumpe Pumpen", "jährliche jährlichen jährlicher", "Mieterin Mieterinnen",
    "инструмент инструменты инструментов", "самолёт самолеты", "fattura fatture", "χρήστης χρήστη", "utilisateur utilisateurs",
])
def test_the_forms_of_a_word_are_one_term(forms: str) -> None:
    assert len({tuple(terms(form)) for form in forms.split()}) == 1


@pytest.mark.parametrize("words", ["order ordeal", "number numb", "former form", "market mark", "value valve", "alternative alter", "ready read", "queue quay"])
def test_english_words_stay_apart(words: str) -> None:
    assert len({tuple(terms(word)) for word in words.split()}) == 2


@pytest.mark.parametrize("text", ["Gebühr für den Prüfbericht", "naïve façade", "Đặng Văn", "ガード"])
@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_composed_and_decomposed_texts_are_the_same(text: str, form: str) -> None:
    assert terms(unicodedata.normalize(form, text)) == terms(text) != []


def test_compatibility_forms_are_plain() -> None:
    assert terms("ｏﬃｃｅ ＡＸ４４３３ ﾎﾟﾝﾌﾟ") == terms("office AX4433 ポンプ")


@pytest.mark.parametrize("written", ["AX-4433", "AX4433", "ax4433", "AX 4433", "AX‑4433", "ＡＸ－４４３３", "AX_4433"])
def test_a_code_is_one_whatever_its_hyphens(written: str) -> None:
    assert codes_of(f"the bearing {written} turns") == ["ax4433"]


@pytest.mark.parametrize("text", ["USD 4433", "IN 2024", "NOTE 123", "in 4433"])
def test_a_word_before_a_number_is_no_code(text: str) -> None:
    assert not any(term.isalnum() and not term.isdigit() and any(map(str.isdigit, term)) for term in terms(text))


@pytest.mark.parametrize("text", ["型号B250的价格", "ポンプB250の流量", "펌프B250의", "ปั๊มB250ราคา"])
def test_a_code_between_letters_without_blanks_is_a_word(text: str) -> None:
    assert "b250" in terms(text)


@pytest.mark.parametrize("date", ["2025-04-08", "8 April 2025", "April 8, 2025", "8. April 2025", "08.04.2025", "Apr. 8, 2025", "8th of April 2025", "8 de abril de 2025",
                                  "2025年4月8日"])
def test_a_day_is_one_in_every_notation(date: str) -> None:
    assert {"2025-04-08", "8", "2025"} <= set(terms(f"on {date}: visit"))
    assert "2025-04-09" not in terms(date)


def test_a_day_with_slashes_may_be_either() -> None:
    assert {"2025-04-08", "2025-08-04"} <= set(terms("04/08/2025"))
    assert "2025-04-18" in terms("04/18/2025") and "2025-18-04" not in terms("04/18/2025")


@pytest.mark.parametrize("text", ["12 2025", "page 8, 2025", "99.99.2025", "X-2025-04-08-9"])
def test_what_is_no_day_is_none(text: str) -> None:
    assert not any(term.count("-") == 2 for term in terms(text))


@pytest.mark.parametrize("written", ["1,234.50", "1.234,50", "1’234.50", "1\u00a0234,50", "1\u202f234.50", "1234.50"])
def test_a_number_is_one_in_every_notation(written: str) -> None:
    assert "1234.50" in terms(f"costs {written} in all.")


@pytest.mark.parametrize("written", ["65 bar", "65bar", "65\u00a0bar"])
def test_a_unit_is_a_word_of_its_own(written: str) -> None:
    assert terms(f"withstands {written}.")[-2:] == ["65", "bar"]


@pytest.mark.parametrize("text", ["1." + "1" * 6_000 + "1a", "1" * 9_000, "1,111" * 3_000, "12.12." + "2" * 6_000])
def test_numbers_without_end_are_words_like_others(text: str) -> None:
    assert terms(text)


def test_not_is_a_word() -> None:
    assert "not" in terms("Dogs are not allowed") and "not" in terms("Dogs aren't allowed") and "no" in terms("no dogs")


def test_scripts_that_write_vowels_as_marks_keep_their_words() -> None:
    assert len(terms("हिन्दी में लिखा")) == 3
    assert len(terms("ภาษาไทย")) > 3


@pytest.mark.parametrize(("text", "question", "answer"), [
    ("Das Kraftwerk Jänschwalde hat die Leitung 31.\n\nDas Kraftwerk Boxberg hat die Leitung 58.", "Welche Leitung hat Jaenschwalde?", "31"),
    ("Die Probezeiten dauern vier Monate.\n\nDie Kantine ist im Erdgeschoss.", "Wie lange dauert die Probezeit?", "vier Monate"),
    ("On 03.11.2024 the boiler was replaced.\n\nOn 04.11.2024 the gate was painted.", "What was replaced on November 3, 2024?", "boiler"),
])  # fmt: skip
def test_questions_in_another_notation_are_answered(tmp_path: Path, text: str, question: str, answer: str) -> None:
    (tmp_path / "a.md").write_text(text, "utf-8")
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_paths([tmp_path / "a.md"], "c")
    assert answer in workbench.ask(question, "c").text


@pytest.mark.parametrize("date", ["14/4/25", "14.04.25", "14 April 2025", "2025-04-14"])
def test_a_year_of_two_digits_is_one(date: str) -> None:
    assert "2025-04-14" in terms(f"Lift 34 on {date}, again")


def test_a_section_is_no_day() -> None:
    assert not any("-" in term for term in terms("see 3.1.12 and 1.2.25, 14.4.25.1 and 31/13/25"))


def test_a_code_of_three_parts_is_one_however_it_is_written() -> None:
    assert {"kx4109b", "kx", "4109"} <= set(terms("seal KX-41-09/B")) & set(terms("KX4109B")) and "ax4433b" in terms("the AX 4433 B is")
    assert "ax4433" in terms("an AX 4433 A-frame") and "1990" not in terms("a1-990")
