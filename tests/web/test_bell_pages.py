from otppi.system.buzzer.settings import BellSettings
from tests.web.test_settings_pages import fields_of


def test_sounds_and_is_stopped_by_a_button(pages, owner):
    owner.get("/bell")
    assert "sounds now" in owner.follow(owner.post("/bell/test")).visible
    pages.wait_until(lambda: any("buzzer" in line for line in pages.host_said))
    assert "The tune ends." in owner.follow(owner.post("/bell/stop")).visible


def test_causes_and_quiet_hours_are_saved_and_reset(pages, owner):
    store = pages.gateway.store
    given = fields_of(owner.get("/bell"), "/bell")
    del given["bell.sms_failure"]
    owner.post("/bell", {**given, "bell.quiet_from": "20:00", "bell.gpio_pin": "17"})
    bell = store.get(BellSettings)
    assert (bell.sms_failure, bell.modem_failure, bell.quiet_from, bell.pin) == (False, True, "20:00", 17)
    owner.post("/bell/reset", {"section": "bell"})
    assert store.get(BellSettings) == BellSettings()


def test_half_quiet_hours_are_refused_beside_the_field_that_lacks(pages, owner):
    given = fields_of(owner.get("/bell"), "/bell")
    answer = owner.post("/bell", {**given, "bell.quiet_until": ""})
    assert answer.status == 422
    assert 'id="f-bell.quiet_until-error">give both times, or none<' in answer.text
    assert pages.gateway.store.get(BellSettings) == BellSettings()


def test_an_operator_tries_it_and_changes_nothing(pages, owner, operator, viewer):
    page = operator.get("/bell")
    assert "Test" in page.visible
    assert "bell.quiet_from" not in page.text
    assert operator.post("/bell/test").status == 303
    assert operator.post("/bell", {"bell.quiet_from": ""}).status == 403
    assert viewer.get("/bell").status == 403


def test_which_losses_of_brokers_are_heard_is_asked_for(pages, owner):
    given = fields_of(owner.get("/bell"), "/bell")
    del given["bell.redis_disconnected"]
    owner.post("/bell", given)
    assert pages.gateway.store.get(BellSettings) == BellSettings(redis_disconnected=False)
