"""Everything that speaks ssh can carry the prompt: remote commands, scp and sftp."""

from rig.ssh_client import COMMON, HOST, KEYBOARD


def _options(machine):
    return (*COMMON, *KEYBOARD, "-P", str(machine.sandbox.sshd_port))


def _approved(machine, terminal, name):
    machine.person.approve(machine.person.read_prompt(terminal), name)
    terminal.send_line()


def test_a_remote_command_returns_its_output_and_status(machine):
    ended = machine.person.first_login("ann", command="echo out; exit 3")
    assert (ended.status, ended.output.strip()) == (3, "out")


def test_a_remote_command_reads_standard_input_unharmed(machine):
    line = "ssh {} -p {} -l iris {} 'wc -c; sha256sum </dev/null' < /tmp/input".format(
        " ".join((*COMMON, *KEYBOARD)), machine.sandbox.sshd_port, HOST)
    machine.sandbox.run("head -c 300000 /dev/zero > /tmp/input")
    with machine.person.start(["bash", "-c", line]) as terminal:
        _approved(machine, terminal, "iris")
        assert terminal.wait() == 0
        assert "300000" in terminal.screen


def test_scp_copies_both_ways_with_the_same_prompt(machine):
    machine.sandbox.write("/tmp/there", "to the other side\n")
    scp = ["scp", *_options(machine)]
    with machine.person.start([*scp, "/tmp/there", f"bea@{HOST}:copied"]) as terminal:
        _approved(machine, terminal, "bea")
        assert terminal.wait() == 0, terminal.screen
    assert machine.sandbox.read("/home/bea/copied") == "to the other side\n"
    with machine.person.start([*scp, f"bea@{HOST}:copied", "/tmp/back"]) as terminal:
        machine.person.approve(machine.person.read_prompt(terminal, gate=False), "bea")
        terminal.send_line()
        assert terminal.wait() == 0, terminal.screen
    assert machine.sandbox.read("/tmp/back") == "to the other side\n"


def test_sftp_works_with_the_same_prompt(machine):
    with machine.person.start(["sftp", *_options(machine), f"cleo@{HOST}"]) as terminal:
        _approved(machine, terminal, "cleo")
        terminal.expect(r"sftp> ", timeout=30)
        terminal.send_line("pwd")
        terminal.expect(r"Remote working directory: /home/cleo")
        terminal.send_line("mkdir made-by-sftp")
        terminal.expect(r"sftp> ")
        terminal.send_line("bye")
        assert terminal.wait() == 0
    assert machine.sandbox.path("/home/cleo/made-by-sftp").is_dir()
