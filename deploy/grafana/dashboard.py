"""Makes sundog.json, the dashboard of Sundog's services: python dashboard.py > sundog.json

Needs grafana-foundation-sdk. Every expression is written here once; scripts/deploy-test prometheus checks that the file
is what this makes, that Prometheus takes each expression, and that each metric is one that services have.
"""
from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableHide

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
PICK = 'instance=~"$instance"'
WAIT = "$__rate_interval"


def query(expr, legend):
    return prometheus.Dataquery().expr(expr.replace("@", PICK)).legend_format(legend)


def lines(title, unit, queries, help_text, stacked=False):
    panel = (timeseries.Panel().title(title).description(help_text).unit(unit).datasource(SOURCE).height(8).span(12)
             .min(0).fill_opacity(25 if stacked else 8).draw_style(GraphDrawStyle.LINE)
             .legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)))
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for expr, legend in queries:
        panel = panel.with_target(query(expr, legend))
    return panel


def number(title, unit, expr, help_text):
    return (stat.Panel().title(title).description(help_text).unit(unit).datasource(SOURCE).height(4).span(4)
            .with_target(query(expr, "")))


def quantiles(metric, by="", extra=""):
    le = f"le, {by}" if by else "le"
    select = "{@" + (f", {extra}" if extra else "") + "}"
    return lambda q: f"histogram_quantile({q}, sum by ({le}) (rate({metric}_bucket{select}[{WAIT}])))"


seconds, waits, stages = quantiles("sundog_task_seconds"), quantiles("sundog_task_wait_seconds"), quantiles("sundog_task_stage_seconds", "stage")
requests = quantiles("sundog_http_request_seconds", "route")

made = (
    board.Dashboard("Sundog").uid("sundog").tags(["sundog"]).refresh("30s").time("now-3h", "now").timezone("browser")
    .description("Batches of images on a cluster: what is done, what waits, what fails. Alerts: deploy/prometheus.")
    .with_variable(board.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    .with_variable(board.QueryVariable("instance").label("Service").datasource(SOURCE)
                   .query("label_values(sundog_build_info, instance)").multi(True).include_all(True).all_value(".*")
                   .hide(VariableHide.DONT_HIDE))
    .with_row(board.Row("At a glance"))
    .with_panel(number("Images a minute", "short", f"60 * sum(rate(sundog_images_total{{@}}[{WAIT}]))", "Images that were processed and stored."))
    .with_panel(number("Waiting tasks", "short", 'max(sundog_queue_messages{queue="tasks"})', "Depth of the queue of tasks."))
    .with_panel(number("Dispatchers", "short", 'max(sundog_queue_consumers{queue="tasks"})', "Consumers of the queue of tasks."))
    .with_panel(number("Ranks", "short", "sum(sundog_ranks_alive{@})", "Ranks that can work now."))
    .with_panel(number("Dead letters", "short", 'max(sundog_queue_messages{queue="dead-letters"})', "Messages on the broker that no dispatcher can read. Inputs that failed for good are their owners': sundog dead-letters list."))
    .with_panel(number("Failed tasks, 1 h", "short", 'sum(increase(sundog_tasks_ended_total{state="failed", @}[1h]))', "Damaged inputs are among them; see Errors."))
    .with_row(board.Row("Throughput"))
    .with_panel(lines("Images", "ops", [(f"sum by (instance) (rate(sundog_images_total{{@}}[{WAIT}]))", "{{instance}}")], "Images a second, by dispatcher.", True))
    .with_panel(lines("Pixels", "short", [(f"sum(rate(sundog_pixels_total{{@}}[{WAIT}]))", "pixels/s"), (f"sum(rate(sundog_output_bytes_total{{@}}[{WAIT}]))", "bytes stored/s")], "Pixels of outputs and their bytes, a second."))
    .with_panel(lines("Jobs", "short", [(f"sum(increase(sundog_jobs_submitted_total{{@}}[{WAIT}]))", "submitted"), (f"sum by (state) (increase(sundog_jobs_ended_total{{@}}[{WAIT}]))", "{{state}}")], "Jobs submitted, and ended by state."))
    .with_panel(lines("Slots in use", "percentunit", [("sum by (instance) (sundog_tasks_in_hand{@}) / sum by (instance) (sundog_task_slots{@})", "{{instance}}")], "Tasks in hand to tasks that are fetched and computed at once; above 1, some wait for the store."))
    .with_row(board.Row("Latency"))
    .with_panel(lines("A task", "s", [(seconds(q), f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)], "From taking a task's message to settling it."))
    .with_panel(lines("Waiting for a dispatcher", "s", [(waits(q), f"p{int(q * 100)}") for q in (0.5, 0.95)], "From publishing a task's message to taking it."))
    .with_panel(lines("Each stage, p95", "s", [(stages(0.95), "{{stage}}")], "Fetch, decode, compute, halo, encode, store; stages overlap."))
    .with_panel(lines("Share of time by stage", "percentunit", [(f"sum by (stage) (rate(sundog_task_stage_seconds_sum{{@}}[{WAIT}])) / ignoring(stage) group_left sum(rate(sundog_task_stage_seconds_sum{{@}}[{WAIT}]))", "{{stage}}")], "Where the time of tasks goes.", True))
    .with_panel(lines("Waiting for other ranks' rows", "percentunit", [(f'sum(rate(sundog_task_stage_seconds_sum{{stage="halo", @}}[{WAIT}])) / sum(rate(sundog_task_stage_seconds_sum{{stage=~"halo|compute", @}}[{WAIT}]))', "of all tasks"), (quantiles("sundog_task_halo_ratio")(0.95), "p95 of a task")], "Halo wait as a share of computing."))
    .with_panel(lines("Requests, p95", "s", [(requests(0.95), "{{route}}")], "Until the gateway's answer began, by route."))
    .with_row(board.Row("Queues"))
    .with_panel(lines("Depth", "short", [("max by (queue) (sundog_queue_messages)", "{{queue}}")], "Messages that wait."))
    .with_panel(lines("Age of the oldest", "s", [("max by (queue) (sundog_queue_oldest_age_seconds)", "{{queue}}")], "Where the broker's adapter knows it."))
    .with_row(board.Row("Nodes"))
    .with_panel(lines("Ranks", "short", [("sum by (instance) (sundog_ranks_alive{@})", "{{instance}}")], "A node without ranks takes nothing.", True))
    .with_panel(lines("Restarts of worlds", "short", [(f"sum by (instance) (increase(sundog_world_restarts_total{{@}}[{WAIT}]))", "{{instance}}")], "A rank died or hung, and the world of ranks was started afresh."))
    .with_panel(lines("In quarantine, and why", "short", [("sum by (instance, reason) (sundog_node_quarantined{@})", "{{instance}} {{reason}}")], "Dispatchers that take nothing until they prove that they are sound: whose store refuses them, is another or empty, or whose clock is wrong."))
    .with_panel(lines("Attempts", "ops", [(f"sum by (outcome) (rate(sundog_task_attempts_total{{@}}[{WAIT}]))", "{{outcome}}"), (f"sum(rate(sundog_task_copies_total{{@}}[{WAIT}]))", "copies of slow tasks")], "final; again: failed, perhaps tried again; back: handed back; error: a service failed."))
    .with_panel(lines("Versions", "short", [("count by (service, version) (sundog_build_info)", "{{service}} {{version}}")], "How many of which program run, in which version.", True))
    .with_row(board.Row("Errors and the store"))
    .with_panel(lines("Tasks that did not succeed, by reason", "ops", [(f'sum by (reason) (rate(sundog_tasks_ended_total{{state!="succeeded", @}}[{WAIT}]))', "{{reason}}")], "damaged_input and unsuitable are the inputs'; rank_lost, node_lost, store and io are ours.", True))
    .with_panel(lines("Store calls of tasks", "s", [(f'sum by (stage) (rate(sundog_task_stage_seconds_sum{{stage=~"fetch|store", @}}[{WAIT}])) / sum by (stage) (rate(sundog_task_stage_seconds_count{{stage=~"fetch|store", @}}[{WAIT}]))', "{{stage}}, mean"), (quantiles("sundog_task_stage_seconds", "stage", 'stage=~"fetch|store"')(0.99), "{{stage}}, p99")], "Getting a task's input and putting its output."))
    .with_panel(lines("Calls of the store", "ops", [(f"sum by (call, outcome) (rate(sundog_store_calls_total{{@}}[{WAIT}]))", "{{call}} {{outcome}}")], "Calls of a remote store by all services. exists and missing are answers; refused and failed are not.", True))
    .with_panel(lines("Time of the store's calls", "s", [(quantiles("sundog_store_call_seconds", "call", "")(0.5), "{{call}}, median"), (quantiles("sundog_store_call_seconds", "call", "")(0.99), "{{call}}, p99")], "The client's own repetitions are part of a call."))
    .with_panel(lines("Requests that failed", "ops", [(f'sum by (route, status) (rate(sundog_http_requests_total{{status=~"4..|5..", @}}[{WAIT}]))', "{{status}} {{route}}")], "Answers 4xx and 5xx by route.", True))
    .with_panel(lines("Watchers and webhooks", "short", [("sum(sundog_watchers{@})", "watchers"), (f"sum(increase(sundog_watchers_cut_off_total{{@}}[{WAIT}]))", "cut off"), (f"sum by (outcome) (increase(sundog_webhook_attempts_total{{@}}[{WAIT}]))", "webhooks: {{outcome}}"), (f"sum by (result) (increase(sundog_trace_exports_total{{@}}[{WAIT}]))", "spans: {{result}}")], "Clients that follow events; deliveries of webhooks; batches of spans."))
)

if __name__ == "__main__":
    print(JSONEncoder(sort_keys=True, indent=2).encode(made.build()))
