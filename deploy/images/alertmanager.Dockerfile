# Alertmanager from Debian's package, started like the official image. For machines that reach no registry.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/build.sources \
    --mount=type=secret,id=apt_options,target=/etc/apt/apt.conf.d/99build \
    apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends prometheus-alertmanager \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /usr/share/doc/* \
    && install -d -o prometheus -g prometheus /alertmanager
USER prometheus
EXPOSE 9093
WORKDIR /alertmanager
ENTRYPOINT ["prometheus-alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]
