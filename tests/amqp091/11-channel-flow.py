# SPDX-License-Identifier: Apache-2.0
# channel.flow: active=true is answered, active=false is not implemented; access.request of old clients is granted.
from harness import *


@check
def flow_true(ch):
    eq(ch.rpc("channel.flow", active=True).active, True)


@check
def flow_false(ch):
    ch.kills(540, "NOT_IMPLEMENTED - active=false", "channel.flow", active=False)


@check
def access_request_is_granted(ch):
    eq(ch.rpc("access.request", realm="/data", read=True).ticket, 1)


main()
