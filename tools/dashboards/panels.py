"""What the dashboards are made of: panels, rows and pages, as Grafana's JSON (schema 39, Grafana 10 and later)."""

RUNBOOKS = "docs/runbooks"
# Every query is limited by the variables at the top of the page.
ALL = 'namespace=~"$namespace"'
NODES = ALL + ',instance=~"$instance"'
SERVICES = ALL + ',service=~"$service",instance=~"$instance"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def rate(series, labels="", by="", of=NODES, over="$__rate_interval"):
    """sum by (...) (rate(series))"""
    inner = f"rate({series}{{{of}{',' + labels if labels else ''}}}[{over}])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def total(series, labels="", by="", of=NODES, how="sum"):
    inner = f"{series}{{{of}{',' + labels if labels else ''}}}"
    return f"{how} by ({by}) ({inner})" if by else f"{how}({inner})"


def quantile(series, which, labels="", by="", of=NODES):
    """Of a histogram; `by` without le."""
    return f"histogram_quantile({which}, {rate(series + '_bucket', labels, 'le' + (',' + by if by else ''), of)})"


def quantiles(series, labels="", of=NODES):
    return [(quantile(series, which, labels, of=of), f"p{100 * which:g}") for which in (0.5, 0.9, 0.99)]


class Panel:
    """`queries`: [(expression, legend)]. `runbooks`: names of alerts that look at the same thing."""

    def __init__(self, title, description, unit, queries, kind="timeseries", width=8, height=8, runbooks=(), stacked=False,
                 steps=None, least=0):
        self.title, self.description, self.unit, self.queries = title, description, unit, queries
        self.kind, self.width, self.height, self.runbooks = kind, width, height, runbooks
        self.stacked, self.steps, self.least = stacked, steps, least

    def json(self, number, x, y):
        steps = [{"color": "green", "value": None}] + [{"color": color, "value": at} for at, color in self.steps or ()]
        defaults = {"unit": self.unit, "min": self.least, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.kind == "timeseries":
            defaults["custom"] = {"lineWidth": 1, "fillOpacity": 40 if self.stacked else 8, "showPoints": "never",
                                  "spanNulls": True, "stacking": {"mode": "normal" if self.stacked else "none"}}
            options = {"legend": {"displayMode": "list", "placement": "bottom"},
                       "tooltip": {"mode": "multi", "sort": "desc"}}
        elif self.kind == "heatmap":
            options = {"calculate": False, "yAxis": {"unit": self.unit}, "color": {"mode": "scheme", "scheme": "Oranges"},
                       "cellGap": 1, "tooltip": {"show": True}}
        elif self.kind == "table":
            options = {"showHeader": True}
        else:
            options = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
        shape = {"heatmap": "heatmap", "table": "table"}.get(self.kind, "time_series")
        return {
            "id": number, "type": self.kind, "title": self.title, "description": self.description,
            "datasource": DATASOURCE, "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
            "links": [{"title": f"runbook {name}", "url": f"{RUNBOOKS}/{name}.md", "targetBlank": True}
                      for name in self.runbooks],
            "targets": [{"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": expression,
                         "legendFormat": legend, "format": shape, "instant": self.kind == "table", "range":
                         self.kind != "table"} for i, (expression, legend) in enumerate(self.queries)],
        }


def stat(title, description, unit, expression, runbooks=(), steps=None, width=4):
    return Panel(title, description, unit, [(expression, "")], "stat", width, 4, runbooks, steps=steps)


def variable(name, label, query):
    """Several values or all of them, as labels of what is scraped."""
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "query": query, "definition": query,
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".+",
            "current": {"text": "All", "value": "$__all"}}


def page(uid, title, description, sections):
    """`sections`: [(title of the row, [panels])]."""
    panels, number, y = [], 1, 0
    for name, members in sections:
        panels.append({"id": number, "type": "row", "title": name, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        number, y, x, high = number + 1, y + 1, 0, 0
        for one in members:
            if x + one.width > 24:
                x, y, high = 0, y + high, 0
            panels.append(one.json(number, x, y))
            number, x, high = number + 1, x + one.width, max(high, one.height)
        y += high
    links = [{"type": "dashboards", "title": "Tern", "tags": ["tern"], "asDropdown": True, "includeVars": True,
              "keepTime": True},
             {"type": "link", "title": "Runbooks", "url": f"{RUNBOOKS}/README.md", "targetBlank": True}]
    return {
        "uid": uid, "title": title, "description": description, "tags": ["tern"], "schemaVersion": 39, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser", "links": links, "annotations": {"list": []},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            variable("namespace", "Namespace", "label_values(tern_build_info, namespace)"),
            variable("service", "Service", 'label_values(tern_build_info{namespace=~"$namespace"}, service)'),
            variable("instance", "Instance",
                     'label_values(tern_build_info{namespace=~"$namespace",service=~"$service"}, instance)'),
        ]},
        "panels": panels,
    }
