"Kinds of wrong answers of the local reader, one test each: what a stranger saw quoted, and what is said instead."

from unicodedata import normalize

import pytest
from test_replies import passages_of, replied

from ragwb.generation.extractive import answer_replies
from ragwb.generation.sentence_ranking import PromptPassage

GUIDE = """# Run it on AWS

> Bring an environment up, pause it, resume it, rotate a secret, find what costs

## Pause and resume

```
make pause ENV=dev
make resume ENV=dev
```

A pause detaches the pods, destroys compute and looks for what is left of an environment.

## Rotate a secret

Raise its number in `foundation.tfvars`, then run this command:

```
python infra/cloud.py apply foundation
```

The former value of a secret stays until the next rotation.

## Create a virtualenv

For example,

```
pyenv virtualenv 2.7.10 old
```

will create a virtualenv of Python 2.7.10 in a folder called `old`."""
KEYS = """## Keys

A key may have these scopes:

- ask: questions, ratings and the app
- ingest: uploads
- admin: everything

A key of any scope is printed once."""
SCOPES = "## Keys\n\n| scope | may |\n|---|---|\n| ask | ask questions with a key |\n| ingest | upload with a key |\n| admin | do everything with a key |"
SCALE = "There is no HPA beside KEDA. In dev and staging there are no pods at night. KEDA scales by the hour. It was chosen because its hours are known beforehand."
PLACE = "Nvidia Corporation 10-Q, quarter ended October 30, 2022, Q3 fiscal 2023"
EXPENSES = """Operating Expenses

Three Months Ended | Nine Months Ended
October 30, 2022 | October 31, 2021 | $ % | Change | Change | October 30, 2022 | October 31, 2021 | $ % | Change | Change
($ in millions)
Research and development expenses | $ 1,945 | $ 1,403 | $ 542 | 39 % | $ 5,387 | $ 3,802 | $ 1,585 | 42 %
Total operating expenses | $ 2,576 | $ 1,960 | $ 616 | 31 % | $ 8,555 | $ 5,405 | $ 3,150 | 58 %"""


def said(question: str, text: str, place: str = "Guide") -> str:
    "What the reader says of one passage, with the proofs; empty: nothing sure."
    return " ".join(answer_replies(question, [PromptPassage(1, place, text)], 0.0, 3))


@pytest.mark.parametrize(("question", "code"), [
    ("How do I pause an environment?", "```\nmake pause ENV=dev\nmake resume ENV=dev\n```"),
    ("How do I rotate a secret?", "Raise its number in `foundation.tfvars`, then run this command:\n```\npython infra/cloud.py apply foundation\n```"),
    ("Which command pauses an environment?", "```\nmake pause ENV=dev\nmake resume ENV=dev\n```"),
])  # fmt: skip
def test_how_something_is_done_is_answered_by_the_commands_with_what_introduces_them(question: str, code: str) -> None:
    reply = said(question, GUIDE)
    assert reply.startswith(code) and reply.count("[[") == 1
    quote = reply.partition("[[1|")[2].removesuffix("]]")
    assert quote in GUIDE
    shown = replied(reply, passages_of((GUIDE,)))
    assert shown.text == f"{code}\n[1]" and [citation.quote for citation in shown.citations] == [quote]


def test_the_quotation_under_a_title_and_a_listing_alone_answer_nothing() -> None:
    for question in ("What does an environment cost?", "What is a secret?", "What happens to the pods of an environment?"):
        assert "> Bring" not in said(question, GUIDE) and "make pause" not in said(question, GUIDE)


def test_all_items_of_a_list_are_said_where_several_are_asked_for() -> None:
    assert said("Which scopes may a key have?", KEYS).startswith("A key may have these scopes:\n- ask: questions, ratings and the app\n- ingest: uploads\n- admin: everything [[1|")
    reply = said("Which scopes can a key have?", SCOPES)
    assert all(f"{scope}, may:" in reply for scope in ("ask", "ingest", "admin")) and "---, may" not in reply


def test_a_statement_that_begins_inside_another_is_said_with_its_beginning() -> None:
    reply = said("Where is the folder of Python 2.7.10?", GUIDE)
    assert reply.startswith("For example,\n```\npyenv virtualenv 2.7.10 old\n```\nwill create a virtualenv of Python 2.7.10 in a folder")


def test_a_question_why_is_answered_by_a_reason_or_not_at_all() -> None:
    assert said("Why is there no HPA beside KEDA?", SCALE.replace(" It was chosen because its hours are known beforehand.", "")) == ""
    assert said("Why does KEDA scale by the hour?", SCALE).startswith("KEDA scales by the hour. It was chosen because its hours are known beforehand. [[1|")


def test_heads_of_two_lines_do_not_move_the_columns() -> None:
    assert said("Nvidia total operating expenses, Q3 FY23?", EXPENSES, PLACE).startswith("Total operating expenses, Three Months Ended October 30, 2022: $2,576 million.")


def test_a_cell_whose_row_lacks_what_was_asked_for_is_no_answer() -> None:
    table = "Three Months Ended March 31,\n2022 | 2023\n(in millions)\nNet Sales:\nAdvertising services | 7,877 | 9,509\nPhysical stores | 4,591 | 4,895"
    place = "Amazon.com, Inc. 10-Q, quarter ended March 31, 2023, Q1 fiscal 2023"
    assert "9,509" in said("Amazon's advertising services in the quarter ended March 31, 2023?", table, place)
    assert said("youtube advertising revenue first quarter 2023", table, place) == ""


def test_a_column_that_names_something_else_is_named_in_the_answer() -> None:
    place = "Intel Corporation 10-Q, quarter ended April 1, 2023, Q1 fiscal 2023"
    hedge = "(In Millions) | Carrying Amount of the Hedged Item Asset/(Liabilities) Apr 1, 2023 | Carrying Amount of the Hedged Item Asset/(Liabilities) Dec 31, 2022"
    plain = "(In Millions) | Apr 1, 2023 | Dec 31, 2022"
    row = "Long-term debt | 11,413 | 11,221"
    question = "How much long-term debt did Intel carry on April 1, 2023?"
    assert said(question, f"{plain}\n{row}", place).startswith("Long-term debt, Apr 1, 2023: 11,413 million.")
    hedged = said(question, f"{hedge}\n{row}", place)
    assert not hedged or hedged.startswith("Long-term debt, Carrying Amount of the Hedged Item Asset/(Liabilities) Apr 1, 2023: ")


def test_by_how_much_asks_for_both_periods_and_a_date_has_no_unit() -> None:
    table = "(In millions)\nThree Months Ended September 30, | 2023 | 2022\nInterest and dividends income | $ 1,166 | $ 641"
    place = "Microsoft Corporation 10-Q, quarter ended September 30, 2023, Q1 fiscal 2024"
    reply = said("By how much did Microsoft's interest and dividends income grow in the three months ended September 30, 2023 over the prior year?", table, place)
    assert "1,166" in reply and "641" in reply
    dividends = "(In millions)\nDeclaration Date | Payment Date | Amount\nNovember 29, 2022 | March 9, 2023 | $ 5,064"
    assert "March 9, 2023 million" not in said("When is the dividend that was declared on November 29, 2022 paid?", dividends, place)


def test_a_name_that_is_in_no_passage_needs_more_than_a_passage_that_is_near() -> None:
    price = "Service contract Gold costs 720 euros a year for each pump."
    assert answer_replies("What does service contract Gold cost?", [PromptPassage(1, "Service", price)], 0.3, 3)
    assert not answer_replies("What does service contract Platinum cost?", [PromptPassage(1, "Service", price)], 0.3, 3)


def test_a_name_of_a_known_kind_is_refused_however_sure_and_one_in_other_letters_is_not() -> None:
    gold = [PromptPassage(1, "Service", "Service contract Gold costs 720 euros a year for each pump."), PromptPassage(2, "Service",
        "What a Platinum fountain pen costs: 90 euros.")]
    assert not answer_replies("What does service contract Platinum cost a year for each pump?", gold[:1], 0.0, 3)
    assert "720" in said("What does service contract Gold cost in the United States?", gold[0].text + " It holds in the US only.")
    assert "eleven" in said("How many branches has the Indian bank?", "The bank has eleven branches in India.")


def test_reasons_are_given_without_because() -> None:
    assert "to coordinate" in said("Why was the office created?", "The office was created in 1973 to coordinate the response. It has ten rooms.")
    assert said("Why was the office created?", "The office was created in 1973. It has ten rooms.") == ""


def test_a_line_that_only_links_and_a_piece_of_a_program_answer_nothing() -> None:
    links = "| to | read |\n|---|---|\n| rotate a secret | [Rotate a secret](17.md) |\n\nThe [threat model](14.md) says what a secret is."
    assert said("How do I rotate a secret?", links) == ""
    assert said("Which buckets does the limiter have?", 'limiter["Limiter<br/>buckets"]:::api\n  bucket(["Buckets"]):::core --> limiter') == ""


def test_a_sentence_that_begins_with_what_is_asked_tells_how() -> None:
    text = "Report a vulnerability privately, not in a public issue. `make attack` runs what attacks vulnerabilities."
    assert said("How do I report a vulnerability?", text).startswith("Report")


def test_german_nouns_are_no_names_whose_absence_counts() -> None:
    fee = "# Gebühren\n\nFür einen Bericht über die Prüfung werden 55 Euro berechnet."
    for question in ("Wie hoch ist die Gebühr für den Prüfbericht?", normalize("NFD", "Wie hoch ist die Gebühr für den Prüfbericht?")):
        assert "55 Euro" in said(question, fee, "Gebühren")


def test_items_by_other_signs_are_statements_of_their_own() -> None:
    text = "▪ Notebook volume decreased 37% due to customers tempering purchases.\n▪ Desktop revenue was $1.9 billion, down $762 million."
    assert "Desktop" not in said("Why did notebook volume decrease?", text)


def test_a_figure_of_a_report_is_taken_only_from_a_sentence_that_says_what_was_asked_for() -> None:
    place = "Intel Corporation 10-Q, quarter ended July 1, 2023, Q2 fiscal 2023"
    near = "The Gaudi deep learning accelerator was recognized in 2 benchmarks. Revenue was $232 million in Q2 2023, driven by higher packaging revenue."
    assert said("What revenue did Intel get from Gaudi accelerators in Q2 2023?", near, place) == ""
    told = "Gaudi accelerators revenue was $40 million in Q2 2023, driven by higher demand."
    assert "$40 million" in said("What was Intel's revenue from Gaudi accelerators in Q2 2023?", told, place)


def test_the_measure_the_day_and_the_part_that_are_asked_for_choose_the_row() -> None:
    place = "Amazon.com, Inc. 10-Q, quarter ended March 31, 2023, Q1 fiscal 2023"
    flows = "(in millions)\nThree Months Ended March 31,\n2022 | 2023\nAccounts payable | $ (9,380) | $ (11,264)\nOperating income | 3,669 | 4,774"
    assert said("How much did Amazon owe its suppliers (accounts payable) at the end of the first quarter of 2023?", flows, place) == ""
    balance = "(in millions)\nDecember 31, 2022 | March 31, 2023\nAccounts payable | $ 79,600 | $ 66,907"
    assert "66,907" in said("How much did Amazon owe its suppliers (accounts payable) at the end of the first quarter of 2023?", balance, place)
    assert said("What was Twitch's operating income in the first quarter of 2023?", f"Twitch has viewers.\n\n{flows}", place) == ""
    assert "4,774" in said("What was Amazon's operating income in the first quarter of 2023?", flows, place)


README = """Enable and use networkd
=======================
networkd is a small service to configure network interfaces.

networkd is not enabled by default; run

  systemctl enable systemd-networkd

if you want to use it. You need to make sure that interfaces handled by networkd are not handled by ifupdown.

Bug reports
===========

Please send all reports to bugs@example.org. Reports should ideally include:

  * the version of networkd
  * a description of the behaviour

Why do long user names get printed as numbers?

  The standards require it when there is not enough room in the column."""


def test_a_heading_drawn_over_a_line_and_an_indented_command_are_known_in_plain_text() -> None:
    assert said("What is networkd?", README, "README").startswith("networkd is a small service to configure network interfaces. [[1|")
    assert said("How do I enable networkd?", README, "README").startswith("networkd is not enabled by default; run\n  systemctl enable systemd-networkd [[1|")


def test_what_leads_to_a_list_is_said_with_the_list_whatever_is_asked() -> None:
    assert said("What should a bug report include?", README, "README").startswith("Reports should ideally include:\n  * the version of networkd\n  * a description")


def test_the_question_of_a_faq_is_above_its_answer_and_a_reason_is_what_answers_why() -> None:
    assert said("Why are user names printed as numbers?", README, "README").startswith("The standards require it")


def test_a_how_question_is_refused_where_nothing_speaks_of_doing_it() -> None:
    assert said("How do I uninstall networkd?", "networkd is a small service. Interfaces are listed in `/etc/network`.", "README") == ""


def test_a_definition_may_begin_with_a_longer_or_a_shorter_form_of_the_name() -> None:
    gmp = "Build GMP with the flags of your processor. GNU MP is a library for arithmetic of any precision. GMP is tested on every release."
    assert said("What is GMP?", gmp, "GMP").startswith("GNU MP is a library")
    assert said("What is form DC-5?", "Fill in form DC-5.\n\nDC-5: the certificate on the outside of a returned pump.", "Returns").startswith("DC-5: the certificate")


def test_a_fragment_is_said_with_the_sentence_that_it_belongs_to() -> None:
    level = "The excess is 250 with Basic. For flood it is 1,000."
    assert said("How much is it for flood?", level, "Insurance").startswith(level)
    assert said("When was --deep added?", "`--deep` looks into archives. Added in 2.3.", "Options").startswith("`--deep` looks into archives. Added in 2.3.")


def test_a_column_of_the_sibling_product_answers_nothing() -> None:
    assert said("What is the rinse temperature of the DL-60?", "| Setting | DL-40 |\n|---|---|\n| Rinse temperature | 82 °C |", "Washers") == ""
    assert "82" in said("What is the rinse temperature of the DL-40?", "| Setting | DL-40 |\n|---|---|\n| Rinse temperature | 82 °C |", "Washers")


def test_a_clock_time_of_another_kind_is_no_time_of_day() -> None:
    race = "| Race | Time limit |\n|---|---|\n| Marathon | 8:00 |\n| Half marathon | 4:30 |\n\nThe half marathon starts at 10:15 on the square."
    assert said("What time does the marathon start?", race, "Race") == ""
    assert "10:15" in said("What time does the half marathon start?", race, "Race") and "8:00" in said("What is the time limit of the marathon?", race, "Race")


def test_who_is_answered_by_somebody_and_a_count_by_a_number_of_what_is_counted() -> None:
    club = "Alcohol makes members tired. Each active member has one vote. Unpaid leave needs the approval of the president."
    assert said("Who is the president?", club, "Club") == "" and said("How many members does the club have?", club, "Club") == ""
    assert "90" in said("How many members does the club have?", f"{club} The club has 90 members.", "Club")


def test_what_is_said_of_another_kind_of_a_thing_answers_nothing() -> None:
    fees = "Youth members are under 18.\n\nThe annual fee of active members is 240 euros."
    assert "240" not in said("What is the annual fee for youth members?", fees, "Fees") and "240" in said("What is the annual fee for active members?", fees, "Fees")


def test_a_version_that_stands_only_in_the_heading_is_said_with_what_is_below() -> None:
    changes = "# Changes\n\n## 3.1.0 (2025-10-02)\n\n- Added: support for the carrier Bluewing."
    assert said("Which version added support for Bluewing?", changes, "Changes").startswith("3.1.0 (2025-10-02): ")


def test_a_heading_right_above_a_paragraph_of_plain_text_is_no_part_of_its_first_sentence() -> None:
    rules = "Article 4: Fees\nThe annual fee of active members is 240 euros, to be paid in January."
    assert said("What is the annual fee of active members?", rules, "Statutes").startswith("The annual fee")
