#!/command/with-contenv bash
# Serves with the options of the add-on's page, and tells Home Assistant where, once the port is open.
mapfile -d '' -t words < <(/opt/kws/bin/python -c '
import json

with open("/data/options.json", encoding="utf-8") as file:
    options = json.load(file)
for name in ("only", "keyword", "threshold"):
    for value in options[name]:
        print(end=f"--{name}={value}\0")
if options["debug"]:
    print(end="--debug\0")
')
if [[ -d /share/kws ]]; then
  words+=(--custom-model-dir /share/kws)
fi
{
  until : >/dev/tcp/127.0.0.1/10400; do sleep 0.5; done 2>/dev/null
  # Discovery in the Supervisor's API: https://developers.home-assistant.io/docs/api/supervisor/endpoints
  curl --silent --show-error --fail --output /dev/null --header "Authorization: Bearer ${SUPERVISOR_TOKEN}" \
    --json "{\"service\": \"wyoming\", \"config\": {\"uri\": \"tcp://$(hostname):10400\"}}" \
    http://supervisor/discovery || echo "Home Assistant was not told: add the integration Wyoming Protocol by hand" >&2
} &
exec /opt/kws/bin/kws serve --uri tcp://0.0.0.0:10400 "${words[@]}"
