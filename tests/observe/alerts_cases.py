"""For every alert: series with which it fires, and series with which it must not, close by.

Values are promtool's: "1x40" is 1 for 40 more steps, "0+15x40" grows by 15 at each step. A step is 15 s unless said.
"""
import collections

Case = collections.namedtuple("Case", "fires quiet at step firing")


def case(fires, quiet, at="10m", step="15s", firing=1):
    """`firing`: how many of the alert fire. `quiet`: one dict of series, or several."""
    return Case(fires, quiet if isinstance(quiet, list) else [quiet], at, step, firing)


def up(service, values, node="0"):
    return {f'up{{job="tern",service="{service}",node="{service}-{node}",instance="{service}-{node}:9100"}}': values}


def rate(name, per_second, seconds=15, steps=60):
    return {name: f"0+{per_second * seconds}x{steps}"}


def deliveries(slow_per_second, failed_per_second=0.0, all_per_second=1000, seconds=120, steps=300):
    """Live deliveries of which so many take longer than 1 s."""
    name = "tern_gateway_delivery_seconds"
    quick = all_per_second - slow_per_second
    out = rate(f'{name}_bucket{{le="1"}}', quick, seconds, steps)
    out |= rate(f'{name}_bucket{{le="2.5"}}', all_per_second, seconds, steps)
    out |= rate(f'{name}_bucket{{le="+Inf"}}', all_per_second, seconds, steps)
    out |= rate(f"{name}_count", all_per_second, seconds, steps)
    return out | rate('tern_session_deliveries_total{outcome="failed"}', failed_per_second, seconds, steps)


def receipts(throttled, failed, all_per_second=1000, seconds=120, steps=300, storage=True):
    name = "tern_session_receipt_seconds"
    out = rate(f'{name}_bucket{{le="1"}}', all_per_second, seconds, steps)
    out |= rate(f"{name}_count", all_per_second, seconds, steps)
    out |= rate('tern_session_accepted_total{kind="message",result="throttled"}', throttled, seconds, steps)
    if storage:
        out |= rate('tern_storage_operations_total{op="append",result="failed"}', failed, seconds, steps)
    return out


def latency(name, good, all_of_them, edge, labels="", steps=60):
    """A histogram with so many a second at most `edge`, the rest within ten times that."""
    extra = labels + "," if labels else ""
    out = {}
    for bound, count in ((edge, good), (edge * 10, all_of_them), ("+Inf", all_of_them)):
        out |= rate(f'{name}_bucket{{{extra}le="{bound}"}}', count, steps=steps)
    return out


GATEWAY = 'node="gateway-0",instance="gateway-0:9100"'
ROUTING = 'node="routing-0",instance="routing-0:9100"'
# A blip of 6 minutes at 5 % in six good hours, at a step of 120 s.
BLIP = {
    'tern_gateway_delivery_seconds_bucket{le="1"}': "0+120000x180 21714000+114000x3 22062000+120000x20",
    "tern_gateway_delivery_seconds_count": "0+120000x204",
    'tern_session_deliveries_total{outcome="failed"}': "0x204",
}

CASES = {
    # objectives; without traffic there is no ratio, and no alert
    "TernDeliverySLOBurnFast": case(deliveries(20), [deliveries(5), BLIP, deliveries(0, 0, 0)], "7h", "2m"),
    "TernDeliverySLOBurnSlow": case(deliveries(1, 1), deliveries(0.5), "9h", "2m"),
    "TernReceiptSLOBurnFast": case(receipts(10, 10), [receipts(2, 3), receipts(0, 0, 0)], "7h", "2m"),
    "TernReceiptSLOBurnSlow": case(receipts(2, 0, storage=False), receipts(0.2, 0.3), "9h", "2m"),
    "TernDeliveryLatency": case(latency("tern_gateway_delivery_seconds", 98, 100, 0.5),
                                latency("tern_gateway_delivery_seconds", 99.5, 100, 0.5), "15m"),
    "TernReceiptLatency": case(latency("tern_session_receipt_seconds", 98, 100, 0.5),
                               latency("tern_session_receipt_seconds", 99.5, 100, 0.5), "15m"),

    # nodes
    "TernGatewayDown": case(up("gateway", "1x4 0x40") | up("gateway", "1x44", "1"),
                            [up("gateway", "1x44"), up("gateway", "1x37 0x1 1x10")]),
    "TernNoGatewayReady": case(up("gateway", "0x60") | up("gateway", "0x60", "1"),
                               [up("gateway", "0x60") | up("gateway", "1x60", "1")
                                | {f'tern_ready{{service="gateway",{GATEWAY}}}': "1x60"}]),
    "TernSessionNodeDown": case(up("session", "1x4 0x40"), up("session", "1x60") | up("group", "0x60")),
    "TernGroupNodeDown": case(up("group", "1x4 0x40"), up("group", "1x60") | up("storage", "0x60")),
    "TernStorageNodeDown": case(up("storage", "1x4 0x40"), up("storage", "1x60") | up("routing", "0x60")),
    "TernRoutingNodeDown": case(up("routing", "1x4 0x40"), up("routing", "1x60") | up("gateway", "0x60")),
    "TernNodeNotReady": case({"tern_ready{node='session-0'}": "0x60"}, {"tern_ready{node='session-0'}": "0x24 1x4 0x12"}),
    "TernMetricsAbsent": case({'up{job="other"}': "1x60"}, up("gateway", "1x60") | {"tern_build_info": "1x60"}),
    "TernCrashLoop": case({'process_start_time_seconds{job="tern",node="group-0"}': "100x10 200x10 300x10 400x10"},
                          {'process_start_time_seconds{job="tern",node="group-0"}': "100x10 200x10 300x30"}),
    "TernVersionSkew": case({'tern_build_info{version="1.0",node="a"}': "1x400", 'tern_build_info{version="1.1",node="b"}': "1x400"},
                            [{'tern_build_info{version="1.0",node="a"}': "1x400", 'tern_build_info{version="1.0",node="b"}': "1x400"},
                             {'tern_build_info{version="1.0",node="a"}': "1x200", 'tern_build_info{version="1.1",node="a"}': "_x100 1x300"}],
                            "80m"),
    "TernFileDescriptorsNearLimit": case({'process_open_fds{job="tern"}': "900x60", 'process_max_fds{job="tern"}': "1000x60"},
                                         {'process_open_fds{job="tern"}': "800x60", 'process_max_fds{job="tern"}': "1000x60"}),
    "TernLogLinesDropped": case(rate("tern_log_dropped_lines_total", 1), {"tern_log_dropped_lines_total": "500x60"}, "12m"),

    # edge
    "TernConnectionsNearLimit": case(
        {f'tern_gateway_connections{{{GATEWAY},tls="false"}}': "900x60", f"tern_gateway_connections_limit{{{GATEWAY}}}": "1000x60"},
        {f'tern_gateway_connections{{{GATEWAY},tls="false"}}': "800x60", f"tern_gateway_connections_limit{{{GATEWAY}}}": "1000x60"}),
    "TernConnectionsDropped": case({"tern_gateway_connections": "1000x36 600x60"},
                                   [{"tern_gateway_connections": "1000x36 800x60"},
                                    {"tern_gateway_connections": "20x36 1x60"}]),
    "TernReconnectStorm": case(rate("tern_gateway_connections_opened_total", 60) | {"tern_gateway_connections": "1000x60"},
                               [rate("tern_gateway_connections_opened_total", 60) | {"tern_gateway_connections": "2000x60"},
                                rate("tern_gateway_connections_opened_total", 15) | {"tern_gateway_connections": "100x60"}]),
    "TernLoginFailures": case(rate('tern_gateway_auth_total{result="refused"}', 5) | rate('tern_gateway_auth_total{result="ok"}', 5),
                              [rate('tern_gateway_auth_total{result="refused"}', 5) | rate('tern_gateway_auth_total{result="ok"}', 20),
                               rate('tern_gateway_auth_total{result="refused"}', 1)]),
    "TernLoginsUnavailable": case(rate('tern_gateway_auth_total{result="unavailable"}', 1),
                                  rate('tern_gateway_auth_total{result="refused"}', 1)),
    "TernOverloadShedding": case(rate('tern_gateway_refused_total{reason="overload"}', 1.5) | {'tern_session_refused_total{reason="overload"}': "0x60"},
                                 rate('tern_gateway_refused_total{reason="malformed"}', 50)
                                 | {'tern_gateway_refused_total{reason="overload"}': "0x60", 'tern_session_refused_total{reason="overload"}': "0x60"}),
    "TernSlowConsumers": case(rate("tern_gateway_slow_consumers_total", 0.1), rate("tern_gateway_slow_consumers_total", 0.02)),
    "TernDrainStuck": case({f"tern_gateway_draining{{{GATEWAY}}}": "0x8 1x40", f"tern_gateway_drain_remaining_connections{{{GATEWAY}}}": "0x8 500x40"},
                           [{f"tern_gateway_draining{{{GATEWAY}}}": "0x8 1x40", f"tern_gateway_drain_remaining_connections{{{GATEWAY}}}": "0x8 500-5x40"},
                            {f"tern_gateway_draining{{{GATEWAY}}}": "0x60", f"tern_gateway_drain_remaining_connections{{{GATEWAY}}}": "0x60"}]),
    "TernUnacknowledgedGrowing": case({"tern_session_unacked_messages": "1000+100x100", "tern_session_terminals": "100x100"},
                                      [{"tern_session_unacked_messages": "5000x100", "tern_session_terminals": "100x100"},
                                       {"tern_session_unacked_messages": "1000+100x100", "tern_session_terminals": "10000x100"}], "20m"),
    "TernOfflineBacklogSlow": case(latency("tern_session_offline_drain_seconds", 8, 10, 10),
                                   latency("tern_session_offline_drain_seconds", 9.5, 10, 10), "12m"),
    "TernCertificateExpiresSoon": case({'tern_tls_certificate_expiry_timestamp_seconds{use="clients"}': "1200000x60"},
                                       {'tern_tls_certificate_expiry_timestamp_seconds{use="clients"}': "1220000x60"}),
    "TernCertificateExpiresNow": case({'tern_tls_certificate_expiry_timestamp_seconds{use="clients"}': "170000x60"},
                                      {'tern_tls_certificate_expiry_timestamp_seconds{use="clients"}': "180000x60"}),

    # storage
    "TernShardDown": case({'tern_storage_shard_up{shard="a",node="0"}': "0x60", 'tern_storage_shard_up{shard="a",node="1"}': "0x60",
                           'tern_storage_shard_up{shard="b",node="0"}': "1x60"},
                          {'tern_storage_shard_up{shard="a",node="0"}': "0x60", 'tern_storage_shard_up{shard="a",node="1"}': "1x60"}),
    "TernShardDegraded": case({'tern_storage_shard_degraded{shard="a"}': "1x60"}, {'tern_storage_shard_degraded{shard="a"}': "0x60"}),
    "TernStorageErrors": case(rate('tern_storage_operations_total{op="append",result="failed"}', 2) | rate('tern_storage_operations_total{op="append",result="ok"}', 100),
                              rate('tern_storage_operations_total{op="append",result="failed"}', 0.5) | rate('tern_storage_operations_total{op="append",result="ok"}', 100)),
    "TernRowsRefused": case({'tern_storage_rows_refused_total{shard="a"}': "0x5 1x60"}, {'tern_storage_rows_refused_total{shard="a"}': "7x60"}, "10m"),
    "TernCommitsSlow": case(latency("tern_storage_commit_seconds", 98, 100, 0.25, 'shard="a"'),
                            latency("tern_storage_commit_seconds", 99.5, 100, 0.25, 'shard="a"'), "15m"),
    "TernPoolSaturated": case(latency("tern_storage_pool_wait_seconds", 98, 100, 0.1, 'shard="a"'),
                              latency("tern_storage_pool_wait_seconds", 99.5, 100, 0.1, 'shard="a"'), "15m"),
    "TernWritesWaiting": case({'tern_storage_writes_waiting{shard="a"}': "5000x60"}, {'tern_storage_writes_waiting{shard="a"}': "4000x60"}),
    "TernOutboxOld": case({'tern_storage_outbox_oldest_seconds{shard="a"}': "0+15x60"}, {'tern_storage_outbox_oldest_seconds{shard="a"}': "45x60"}),
    "TernOutboxLarge": case({'tern_storage_outbox_rows{shard="a"}': "50000x60"},
                            {'tern_storage_outbox_rows{shard="a"}': "30000x60", 'tern_storage_outbox_behind{shard="a"}': "1x16 0x2 1x40"}, "12m"),
    "TernShardImbalance": case({'tern_storage_shard_bytes{shard="a"}': "25e9x400", 'tern_storage_shard_bytes{shard="b"}': "12e9x400"},
                               [{'tern_storage_shard_bytes{shard="a"}': "23e9x400", 'tern_storage_shard_bytes{shard="b"}': "12e9x400"},
                                {'tern_storage_shard_bytes{shard="a"}': "9e9x400", 'tern_storage_shard_bytes{shard="b"}': "1e9x400"}], "90m"),
    "TernDiskFullPredicted": case({'kubelet_volume_stats_available_bytes{persistentvolumeclaim="tern-data-0"}': "100e9-20e6x600"},
                                  [{'kubelet_volume_stats_available_bytes{persistentvolumeclaim="tern-data-0"}': "500e9-20e6x600"},
                                   {'node_filesystem_avail_bytes{fstype="tmpfs"}': "100e9-20e6x600"}], "2h"),
    "TernSchemaSkew": case({'tern_schema_version{kind="shard",dependency="shard a"}': "2x100", 'tern_schema_version{kind="shard",dependency="shard b"}': "3x100"},
                           {'tern_schema_version{kind="shard",dependency="shard a"}': "3x100", 'tern_schema_version{kind="shard",dependency="shard b"}': "3x100",
                            'tern_schema_version{kind="meta",dependency="meta database"}': "1x100"}, "20m"),
    "TernRedisDown": case({'tern_dependency_up{kind="redis",dependency="redis"}': "0x60"},
                          {'tern_dependency_up{kind="redis",dependency="redis"}': "1x60", 'tern_dependency_up{kind="shard",dependency="shard a"}': "0x60"}),

    # routing
    "TernNoRoutingLeader": case({'tern_routing_leader{instance="a"}': "1x4 0x60", 'tern_routing_leader{instance="b"}': "0x60"},
                                [{'tern_routing_leader{instance="a"}': "0x60", 'tern_routing_leader{instance="b"}': "1x60"},
                                 {'tern_routing_leader{instance="a"}': "1x38 0x1 1x20"}]),
    "TernTwoRoutingLeaders": case({'tern_routing_leader{instance="a"}': "1x60", 'tern_routing_leader{instance="b"}': "1x60"},
                                  {'tern_routing_leader{instance="a"}': "1x30 0x30", 'tern_routing_leader{instance="b"}': "0x30 1x30"}),
    "TernRangeUnowned": case({f'tern_routing_unowned_slots{{map="sessions",{ROUTING}}}': "0x4 64x60", f"tern_routing_leader{{{ROUTING}}}": "1x60"},
                             [{f'tern_routing_unowned_slots{{map="sessions",{ROUTING}}}': "0x60", f"tern_routing_leader{{{ROUTING}}}": "1x60"},
                              {f'tern_routing_unowned_slots{{map="sessions",{ROUTING}}}': "64x60", f"tern_routing_leader{{{ROUTING}}}": "0x60"}]),
    "TernMoveStalled": case({"tern_routing_moves_open": "2x60", "tern_routing_map_version": "12x60"},
                            {"tern_routing_moves_open": "2x60", "tern_routing_map_version": "12+1x60"}),
    "TernMovesFailing": case({'tern_routing_moves_total{reason="drain",result="failed"}': "0x10 0+1x40"},
                             {'tern_routing_moves_total{reason="drain",result="failed"}': "0x10 2x40",
                              'tern_routing_moves_total{reason="drain",result="committed"}': "0+5x50"}),
    "TernShardMoveFailed": case({'tern_storage_moves_failed_total{shard="a"}': "0x20 1x60"}, {'tern_storage_moves_failed_total{shard="a"}': "1x60"}),
    "TernShardMoveStalled": case({f'tern_routing_shard_moves{{state="copying",{ROUTING}}}': "0x4 1x80", f"tern_routing_leader{{{ROUTING}}}": "1x84",
                                  'tern_storage_move_rows_total{shard="a"}': "0+900x20 18000x64"},
                                 [{f'tern_routing_shard_moves{{state="copying",{ROUTING}}}': "1x84", f"tern_routing_leader{{{ROUTING}}}": "1x84",
                                   'tern_storage_move_rows_total{shard="a"}': "0+900x84"},
                                  {f'tern_routing_shard_moves{{state="sealing",{ROUTING}}}': "0x30 1x20 0x1 1x30", f"tern_routing_leader{{{ROUTING}}}": "1x84"},
                                  {f'tern_routing_shard_moves{{state="deciding",{ROUTING}}}': "1x84", f"tern_routing_leader{{{ROUTING}}}": "0x84"},
                                  {f'tern_routing_shard_moves{{state="kept",{ROUTING}}}': "1x84", f"tern_routing_leader{{{ROUTING}}}": "1x84"}], "20m"),
    "TernRoutingCommitsFailing": case({"tern_routing_commits_failed_total": "0x10 0+1x40"}, {"tern_routing_commits_failed_total": "0x30 1x40"}),
    "TernLeasesLate": case(latency("tern_routing_lease_renewal_seconds", 90, 100, 2.5),
                           latency("tern_routing_lease_renewal_seconds", 99.5, 100, 2.5)),

    # runtime
    "TernEventLoopLag": case(latency("tern_event_loop_lag_seconds", 98, 100, 0.1, 'node="gateway-0"'),
                             latency("tern_event_loop_lag_seconds", 99.5, 100, 0.1, 'node="gateway-0"')),
    "TernMailboxBacklog": case(latency("tern_mailbox_wait_seconds", 98, 100, 0.5, 'type="session"'),
                               latency("tern_mailbox_wait_seconds", 99.5, 100, 0.5, 'type="session"'), "15m"),
    "TernGrpcErrors": case(rate('grpc_client_handled_total{grpc_service="a",grpc_code="Unavailable"}', 1),
                           [rate('grpc_client_handled_total{grpc_service="a",grpc_code="OK"}', 5),
                            rate('grpc_client_handled_total{grpc_service="a",grpc_code="Unavailable"}', 0.2)]),
}
