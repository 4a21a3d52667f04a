from otppi.services.sections import SECTIONS


def test_whoever_is_refused_reads_in_words_what_is_wanted_and_never_a_pattern():
    wordless = {
        f"{section.key}.{setting.name}"
        for section in SECTIONS
        for setting in section.describe()
        if setting.pattern and not setting.shape
    }
    assert not wordless
