"""Every route of the admin site."""

from itertools import chain

from otppi.web import admin_api, static_files
from otppi.web.pages import (
    access,
    bell,
    certificate,
    clock,
    confirm,
    costs,
    firewall,
    modems,
    network,
    settings,
    setup,
    sim,
    ussd,
)

ROUTES = tuple(
    chain(
        static_files.ROUTES,
        admin_api.ROUTES,
        access.ROUTES,
        confirm.ROUTES,
        setup.ROUTES,
        costs.ROUTES,
        modems.ROUTES,
        sim.ROUTES,
        ussd.ROUTES,
        network.ROUTES,
        firewall.ROUTES,
        certificate.ROUTES,
        clock.ROUTES,
        bell.ROUTES,
        settings.ROUTES,
    )
)
