from heimnetz_init.model import PARTIES
from heimnetz_init.rights import publish_subjects, users_configuration

EVENTS = "heimnetz."


def subjects(name: str) -> list[str]:
    return publish_subjects(next(party for party in PARTIES if party.name == name))


def test_no_two_services_may_announce_the_same_event():
    announced = [
        subject for party in PARTIES for subject in party.publishes if subject.startswith(EVENTS)
    ]

    assert len(announced) == len(set(announced))


def test_only_migrate_may_change_the_stream():
    for party in PARTIES:
        may = any("$JS.API.STREAM.UPDATE" in subject for subject in publish_subjects(party))
        assert may is (party.name == "migrate")


def test_a_service_reads_through_its_own_consumers_only():
    for party in PARTIES:
        for subject in publish_subjects(party):
            if subject.startswith(("$JS.API.CONSUMER", "$JS.ACK")):
                assert f".HEIMNETZ.{party.name}-" in subject


def test_the_auditor_may_take_submitted_versions():
    assert (
        "$JS.API.CONSUMER.CREATE.HEIMNETZ.auditor-version-submitted-v1.heimnetz.version.submitted.v1"
        in subjects("auditor")
    )


def test_each_user_hears_its_own_inbox_only():
    speakers = [party for party in PARTIES if party.speaks_nats]

    text = users_configuration(speakers, {party.name: "x" for party in speakers})

    for party in speakers:
        assert text.count(f'subscribe: {{allow: ["_INBOX_{party.name}.>"]}}') == 1
    assert text.count("subscribe:") == len(speakers)
