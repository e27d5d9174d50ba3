"""Writes access.log and syslog: a made-up day of a home server; same seed, same bytes.

Addresses are from the ranges for documentation (RFC 5737, RFC 3849).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
DAY = datetime(2025, 3, 30, tzinfo=UTC)
PATHS = ("/", "/photos", "/photos/album/{}", "/api/v1/items/{}", "/static/app.js", "/feed.xml")
PROBES = ("/.env", "/wp-login.php", "/.git/config", "/cgi-bin/luci", "/../../etc/passwd")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X)",
    "FeedReader/3.1",
)


def main() -> None:
    random = Random(7)  # noqa: S311 - an example, no secret
    (HERE / "access.log").write_text(access_log(random), encoding="ascii")
    (HERE / "syslog").write_text(syslog(random), encoding="ascii")


def pick(random: Random, choices: tuple[str, ...]) -> str:
    return choices[int(random.random() * len(choices))]


def access_log(random: Random) -> str:
    lines = []
    at = DAY
    while at < DAY + timedelta(days=1):
        client = f"192.0.2.{10 + int(random.random() ** 3 * 40)}"
        path = pick(random, PATHS).format(int(random.random() * 900))
        status = 200 if random.random() < 0.96 else 304 if random.random() < 0.7 else 502
        lines.append(access_line(at, client, path, status, pick(random, AGENTS), random))
        at += timedelta(seconds=20 + random.random() * 100)
    burst = DAY + timedelta(hours=3, minutes=12)
    for n in range(60):
        path = pick(random, PROBES)
        at = burst + timedelta(milliseconds=n * 700)
        lines.append(access_line(at, "203.0.113.66", path, 404, "zgrab/0.x", random))
    lines.sort(key=lambda line: line.partition("[")[2][:20])
    lines.insert(400, "this line was cut by a full disk")
    return "\n".join(lines) + "\n"


def access_line(
    at: datetime, client: str, path: str, status: int, agent: str, random: Random
) -> str:
    size = 0 if status == 304 else int(200 + random.random() * 20_000)
    return (
        f"{client} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"GET {path} HTTP/1.1" {status} {size} "-" "{agent}"'
    )


def syslog(random: Random) -> str:
    lines = []
    for minute in range(0, 24 * 60, 3):
        stamp = f"Mar 30 {minute // 60:02}:{minute % 60:02}:{int(random.random() * 60):02} nas"
        roll = random.random()
        if roll < 0.5:
            lines.append(f"{stamp} CRON[{1000 + minute}]: (root) CMD (run-parts /etc/cron.hourly)")
        elif roll < 0.8:
            lines.append(f"{stamp} systemd[1]: Started backup-{minute}.service - Backup.")
        elif roll < 0.9:
            port = 40000 + minute
            lines.append(
                f"{stamp} sshd[{2000 + minute}]: Failed password for invalid user admin "
                f"from 198.51.100.23 port {port} ssh2"
            )
        else:
            lines.append(f"{stamp} kernel: [{minute}.5] ata3.00: error: {{ UNC }} at {minute * 8}")
    lines.insert(
        77, "Mar 30 03:51:00 nas kernel: [231.0] EXT4-fs (sdb1): Remounting filesystem read-only"
    )
    lines.insert(300, "Mar 30 15:00:09 nas smartd[611]: Device: /dev/sdb, temperature changed 9 C")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
