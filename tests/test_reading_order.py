"The pages of the benchmark of reading order are read in the order of a person."

from statistics import fmean

from benchmarks.reading_order import in_order, pages, share, tokens


def test_pages_are_read_in_the_order_of_a_person() -> None:
    shares = {page[0]: share(page) for page in pages()}
    assert len(shares) >= 40
    assert fmean(shares.values()) >= 0.98, {name: found for name, found in shares.items() if found < 0.98}


def test_the_share_counts_what_is_in_order() -> None:
    assert tokens("a bc 会議は") == ["a", "bc", "会", "議", "は"]
    assert in_order(["one", "two", "three"], ["two", "three", "one"]) == 8
    assert in_order(["one", "two"], ["two", "one"]) == 3 and in_order(["one"], []) == 0
