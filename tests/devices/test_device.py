import dataclasses

from optim.devices.device import processor, this_environment, usable_cores

X86 = """processor : 0
model name : AMD EPYC 9654
flags : fpu avx512_vnni avx2 avx512f sse2
processor : 1
model name : another
flags : fpu
"""
ARM = """processor : 0
Features : fp asimd asimddp i8mm
Model : Raspberry Pi 5 Model B
"""


class Engine:
    name, version = "fake", "3.2"


def test_the_first_processor_is_read_and_the_most_telling_flag_stands_last():
    assert processor(X86) == ("AMD EPYC 9654", ("avx2", "avx512f", "avx512_vnni"))


def test_arm_boards_are_read_too():
    assert processor(ARM) == ("Raspberry Pi 5 Model B", ("asimd", "asimddp", "i8mm"))


def test_a_machine_without_cpuinfo_still_has_a_name():
    name, instructions = processor("")
    assert name
    assert instructions == ()


def test_the_environment_says_where_a_number_was_measured():
    environment = this_environment(Engine(), threads=2)
    assert (environment.engine, environment.engine_version) == ("fake", "3.2")
    assert environment.threads == 2
    assert environment.cores == usable_cores() >= 1
    assert "2 threads" in environment.words()
    assert "fake 3.2" in environment.words()


def test_two_environments_are_equal_unless_something_differs():
    one, same = this_environment(Engine(), threads=1), this_environment(Engine(), threads=1)
    other = dataclasses.replace(one, threads=2)
    assert one == same
    assert one.fingerprint == same.fingerprint != other.fingerprint
