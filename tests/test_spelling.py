"A misspelt word of a question finds what the right one finds, in text, API and app; a word that is right stays."

import json
import random
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from ragwb.api.routes import create_api
from ragwb.app.answer_view import finished_turn
from ragwb.cli import main
from ragwb.retrieval.search import searcher
from ragwb.retrieval.spelling import Spelling, Words, allowed, edits, folded, ordinary_words
from ragwb.settings import Settings
from ragwb.workbench import Workbench

SAMPLE = Path(__file__).parents[1] / "experiments" / "data" / "sample"
PAGES = {
    "warranty.md": "# Warranty\n\nThe warranty on a pump is 24 months from delivery.", "controller.md": "# Controller\n\nThe controller is replaced after ten years.",
    "travel.md": "# Travel\n\nThe reimbursement of travel costs takes two weeks.", "packing.md": "# Packing\n\nPumps are put into their packing at noon.",
}  # fmt: skip
RIGHT, MISSPELT = "How long is the warranty on a pump?", "How long is the waranty on a pump?"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spelling")
    Workbench(Settings(home=folder)).ingest_files([(name, text.encode()) for name, text in PAGES.items()])
    return folder


@pytest.fixture
def workbench(home) -> Workbench:
    return Workbench(Settings(home=home))


def test_the_answer_is_that_of_the_right_word_and_says_so(workbench):
    misspelt, right = workbench.ask(MISSPELT), workbench.ask(RIGHT)
    assert right.outcome == "answer" and (misspelt.text, misspelt.hits, misspelt.citations) == (right.text, right.hits, right.citations)
    assert (misspelt.question, misspelt.standalone, misspelt.notes) == (MISSPELT, RIGHT, ("Searched for: warranty (not waranty).",))
    assert right.notes == () and right.to_dict()["searched_for"] == {}
    assert workbench.answers.load(misspelt.id)["searched_for"] == {"waranty": "warranty"}
    assert "Searched for: warranty (not waranty)." in finished_turn(misspelt.record(), 0) and "Searched for" not in finished_turn(right.record(), 0)


def test_the_command_and_the_api_say_what_was_searched_for(home):
    said = CliRunner().invoke(main, ["ask", MISSPELT], env={"RAGWB_HOME": str(home)})
    assert said.exit_code == 0 and "24 months" in said.output and "Searched for: warranty (not waranty)." in said.output
    with TestClient(create_api(Workbench(Settings(home=home))), base_url="http://127.0.0.1") as client:
        given = client.post("/v1/query", json={"question": MISSPELT}).json()
    assert given["searched_for"] == {"waranty": "warranty"} and "24 months" in given["answer"] and not given["refused"]


def test_a_follow_up_is_respelt_after_it_was_made_standalone(workbench):
    answer = workbench.ask({"question": "And for the contorller of it?", "history": [MISSPELT]})
    assert dict(answer.searched_for) == {"waranty": "warranty", "contorller": "controller"}
    assert answer.standalone == f"{RIGHT} And for the controller of it?" and answer.question == "And for the contorller of it?"


def test_a_misspelling_with_the_stem_of_the_right_word_is_one_too(workbench):
    "The keyword leg would find it, the vector leg another passage."
    right, misspelt = workbench.ask("When is the controller replaced?"), workbench.ask("When is the controler replaced?")
    assert dict(misspelt.searched_for) == {"controler": "controller"} and (misspelt.text, misspelt.hits) == (right.text, right.hits)


def test_a_search_without_an_answer_is_respelt_too(workbench):
    assert workbench.pipeline().retrieve("waranty")[0].document == "warranty.md" and workbench.pipeline().retrieve("waranty") == workbench.pipeline().retrieve("warranty")


@pytest.mark.parametrize("question", ["Is there a parking space?", "What did Warrenty Ltd deliver?", "WARANTY", "Who is Packinger?", "warrant4y A1-99O re-packng", "Paking's pump",
                                      "hvor lenge varer kontroller garantien", "Гарантия на насос", "waranty@example.com"])
def test_right_words_names_codes_and_other_languages_stay(workbench, question):
    assert workbench.pipeline().run(question).components.spelling.of(question).words == {}


def test_a_word_of_a_chunk_that_was_not_counted_is_right(tmp_path, monkeypatch):
    monkeypatch.setattr("ragwb.retrieval.spelling.CHUNKS_READ", 1)
    workbench = Workbench(Settings(home=tmp_path))
    workbench.ingest_files([("a.md", b"The xelinor closes in two seconds."), ("b.md", b"The xelinar closes in three seconds.")])
    spelling = workbench.pipeline().run("x").components.spelling
    assert len({"xelinor", "xelinar"} & {*spelling.words.words}) == 1
    assert [spelling.of(f"How fast does the {word} close?").words for word in ("xelinor", "xelinar")] == [{}, {}]


def test_no_question_of_the_sample_changes(tmp_path):
    "The half to choose on; questions that are answered and questions that are not."
    workbench = Workbench(Settings(home=tmp_path))
    workbench.ingest_paths([SAMPLE / "docs"])
    spelling = Spelling(searcher(workbench.store.open("default")))
    questions = [row["question"] for row in map(json.loads, (SAMPLE / "questions.jsonl").read_text("utf-8").splitlines()) if row["split"] == "dev"]
    assert len(questions) > 150 and not {question: respelt.words for question in questions if (respelt := spelling.of(question)).words}


def test_two_letters_swapped_are_one_edit():
    assert Words({"travel": 1, "able": 9, "apple": 1}).nearest("travle") == "travel" and edits("travle", "travel", 2) == 1
    assert Words({"able": 9, "apple": 1}).nearest("aple") == "apple"


def test_the_nearest_word_is_the_one_that_comparing_with_all_finds():
    rng = random.Random(10)
    words = ["".join(rng.choice("abcdeéiorst") for _ in range(rng.randint(3, 11))) for _ in range(3000)]
    kept = Words(dict(zip(words, (rng.randint(1, 9) for _ in words), strict=True)))
    for word in rng.sample(words, 150):
        place = rng.randrange(len(word))
        typed = word[:place] + rng.choice("abst") + word[place + rng.randint(0, 1):]
        if len(typed) < 4:
            continue
        plain = folded(typed)
        reached = [(distance, other) for other in kept.words if abs(len(other) - len(typed)) < 2 and (distance := edits(plain, folded(other), 3)) <= allowed(plain, folded(other))]
        found = kept.nearest(typed)
        assert bool(found) == bool(reached) and (not found or edits(plain, folded(found), 3) == min(reached)[0]), (typed, found)


def test_a_hundred_thousand_words_take_milliseconds():
    rng = random.Random(1)
    kept = Words({"".join(rng.choice("aaabcdeeefghiiilmnooprsttu") for _ in range(rng.randint(4, 13))): 1 for _ in range(100_000)} | {"warranty": 5, "controller": 3})
    taken = []
    for typed, meant in (("waranty", "warranty"), ("controler", "controller"), ("warrnaty", "warranty"), ("contorller", "controller")) * 3:
        begun = time.perf_counter()
        assert kept.nearest(typed) == meant
        taken.append(time.perf_counter() - begun)
    assert sorted(taken)[len(taken) // 2] < 0.05  # about 3 ms on an idle machine


def test_the_first_word_of_each_sentence_may_be_misspelt():
    assert [word[0] for word in ordinary_words("Waranty? Controler of Pumps. Yes")] == ["Waranty", "Controler"]


LANGUAGES = {
    "pl": ("Klucze wydaje portier, a rowery są w piwnicy. Nie ma ich na dworze, bo to się nie opłaca od lat i po prostu jest zimno.", "Gdzie jest rower?", "rower", "rowery"),
    "tr": ("Anahtarlar güvenlikten alınır ve bisikletler bodrumda durur. Bu da bir kural için çok önemli, her gün olarak var.", "Bisiklet nerede?", "Bisiklet", "Bisikletler"),
    "de": ("Die Kündigungsfrist ist für den Mieter nicht kurz und die Regel von der Verwaltung ist auf eine Seite gedruckt, mit Zähler und Wasser.",
           "Wie lang ist die Frist?", "Frist", "Kündigungsfrist"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_that_is_there_in_another_form_is_found_by_it(tmp_path, language):
    text, question, asked, meant = LANGUAGES[language]
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_paths([tmp_path / "a.md"], "default")
    spelling = Spelling(searcher(workbench.store.open("default")))
    assert spelling.languages == [language]
    assert spelling.of(question).words == {asked: meant}
    if language == "de":
        assert spelling.of("Wo ist der Wasserzähler?").words == {"Wasserzähler": "Zähler Wasser"}


def test_a_collection_in_english_is_searched_as_it_is_asked(tmp_path):
    (tmp_path / "a.md").write_text("The football is kept in the shed with the nets, and that is for all of the teams to know.", encoding="utf-8")
    workbench = Workbench(Settings(home=tmp_path / "home", workers=1))
    workbench.ingest_paths([tmp_path / "a.md"], "default")
    assert not Spelling(searcher(workbench.store.open("default"))).of("Where is the ball kept?").words
