# CPU:  docker build -t toonify .
# CUDA: docker build -t toonify:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 .
# docs/install.md says how to run it.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY . /source
RUN python -m venv /opt/toonify \
    && /opt/toonify/bin/pip install --no-cache-dir torch torchvision --index-url "${TORCH_INDEX}" \
    && /opt/toonify/bin/pip install --no-cache-dir "/source[web,pdf]"

FROM python:${PYTHON}-slim
# what OpenCV's wheel links against
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home toonify
COPY --from=build /opt/toonify /opt/toonify
ENV PATH=/opt/toonify/bin:$PATH \
    TOONIFY_OFFLINE=1 \
    TOONIFY_HOME=/tmp/toonify
USER toonify
WORKDIR /work
EXPOSE 7860
HEALTHCHECK --start-period=90s --interval=30s --timeout=5s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/api/health', timeout=4)"]
ENTRYPOINT ["toonify"]
CMD ["serve", "--host", "0.0.0.0"]
