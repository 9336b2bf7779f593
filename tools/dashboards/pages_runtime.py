"""The runtime below the services: actors, mailboxes, links, Redis, limits."""
from panels import SERVICES, Panel, page, quantile, rate, total


def of(text):
    return text, "{{instance}}"


def runtime():
    return page("tern-runtime", "Tern: runtime", "Actors and their mailboxes, gRPC between nodes, Redis, limits, logs.", [
        ("Actors", [
            Panel("Alive", "Actors by type.", "short", [(total("tern_actors", by="type", of=SERVICES), "{{type}}")]),
            Panel("Messages", "Handled by actors, by type.", "ops",
                  [(rate("tern_actor_messages_total", by="type", of=SERVICES), "{{type}}")]),
            Panel("Time in the mailbox", "p99 by type, of one message in 32.", "s",
                  [(quantile("tern_mailbox_wait_seconds", 0.99, by="type", of=SERVICES), "{{type}}")]),
            Panel("Messages before it", "p99 of the messages that were ahead of a sampled one, by type.", "short",
                  [(quantile("tern_mailbox_depth", 0.99, by="type", of=SERVICES), "{{type}}")]),
            Panel("Scheduler", "Share of the actor threads' time that is spent in actors.", "percentunit",
                  [of(total("tern_scheduler_utilization_ratio", by="instance", of=SERVICES, how="max"))]),
            Panel("Event loops", "p99 of how late an io thread of a gateway is for what is due.", "s",
                  [of(quantile("tern_event_loop_lag_seconds", 0.99, by="instance", of=SERVICES))]),
        ]),
        ("gRPC between nodes", [
            Panel("Streams begun", "Per second, by method, as servers and clients see them.", "ops",
                  [(rate("grpc_server_started_total", by="grpc_method", of=SERVICES), "{{grpc_method}}"),
                   (rate("grpc_client_started_total", by="grpc_method", of=SERVICES), "client {{grpc_method}}")]),
            Panel("Streams ended", "By method and code, as the client sees them; OK is a planned end.", "ops",
                  [(rate("grpc_client_handled_total", by="grpc_method,grpc_code", of=SERVICES),
                    "{{grpc_method}} {{grpc_code}}"),
                   (rate("grpc_server_handled_total", by="grpc_method,grpc_code", of=SERVICES),
                    "server {{grpc_method}} {{grpc_code}}")]),
            Panel("Batches", "Messages of streams received and sent: each carries many items.", "ops",
                  [(rate("grpc_server_msg_received_total", by="grpc_method", of=SERVICES), "server in {{grpc_method}}"),
                   (rate("grpc_server_msg_sent_total", by="grpc_method", of=SERVICES), "server out {{grpc_method}}"),
                   (rate("grpc_client_msg_received_total", by="grpc_method", of=SERVICES), "client in {{grpc_method}}"),
                   (rate("grpc_client_msg_sent_total", by="grpc_method", of=SERVICES), "client out {{grpc_method}}")]),
        ]),
        ("Redis and limits", [
            Panel("Redis", "p99 by operation.", "s",
                  [(quantile("tern_redis_operation_seconds", 0.99, by="op", of=SERVICES), "{{op}}")],
                  runbooks=("TernRedisDown",)),
            Panel("Redis errors", "Calls that did not succeed; storage is used instead.", "ops",
                  [of(rate("tern_redis_errors_total", by="instance", of=SERVICES))], runbooks=("TernRedisDown",)),
            Panel("Refused by a rate or a full queue", "Rates by whose, queues by which.", "ops",
                  [(rate("tern_rate_limited_total", by="scope", of=SERVICES), "rate: {{scope}}"),
                   (rate("tern_overload_shed_total", by="reason", of=SERVICES), "full: {{reason}}")],
                  runbooks=("TernOverloadShedding",)),
        ]),
        ("Process", [
            Panel("CPU", "Cores by process.", "short",
                  [of(rate("process_cpu_seconds_total", by="instance", of=SERVICES))]),
            Panel("Memory", "Resident by process.", "bytes",
                  [of(total("process_resident_memory_bytes", by="instance", of=SERVICES))]),
            Panel("Address space", "Of each process; grows with threads and mapped files.", "bytes",
                  [of(total("process_virtual_memory_bytes", by="instance", of=SERVICES))]),
            Panel("Threads", "Of each process.", "short",
                  [of(total("process_threads", by="instance", of=SERVICES))]),
            Panel("Log lines lost", "Given up because the queue was full.", "ops",
                  [of(rate("tern_log_dropped_lines_total", by="instance", of=SERVICES))],
                  runbooks=("TernLogLinesDropped",)),
        ]),
    ])
