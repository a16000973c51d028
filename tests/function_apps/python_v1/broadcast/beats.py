_beats = 0


def count():
    global _beats
    _beats += 1
    return _beats
