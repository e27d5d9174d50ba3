// Search, theme and copying. The pages are whole without it: what needs a script is hidden until then.
"use strict";

(() => {
  const page = document.documentElement;
  const root = page.dataset.root ?? "";
  const THEMES = ["system", "light", "dark"];

  const remembered = () => {
    try {
      return localStorage.getItem("heimnetz-theme") ?? "system";
    } catch {
      return "system";
    }
  };

  const wear = (theme) => {
    if (theme === "light" || theme === "dark") page.dataset.theme = theme;
    else delete page.dataset.theme;
  };

  // Before the body is drawn, so that nothing flashes.
  wear(remembered());

  const load = (source) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(script);
    });

  const offerThemes = () => {
    const button = document.getElementById("theme");
    let theme = remembered();
    const say = () => {
      button.textContent = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[theme];
    };
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      wear(theme);
      say();
      try {
        localStorage.setItem("heimnetz-theme", theme);
      } catch {
        // A browser that keeps nothing shows the theme for this page only.
      }
    });
    say();
    button.hidden = false;
  };

  const matches = (items, words) =>
    items
      .map((item) => {
        const title = item.title.toLowerCase();
        const text = `${title} ${item.text.toLowerCase()}`;
        if (!words.every((word) => text.includes(word))) return null;
        const rank = words.reduce((sum, word) => sum + (title.startsWith(word) ? 3 : title.includes(word) ? 2 : 1), 0);
        return { item, rank };
      })
      .filter(Boolean)
      .sort((a, b) => b.rank - a.rank || a.item.title.localeCompare(b.item.title))
      .slice(0, 12)
      .map(({ item }) => item);

  const offerSearch = () => {
    const box = document.querySelector(".search");
    const input = document.getElementById("q");
    const list = document.getElementById("found");
    const tally = document.getElementById("tally");
    let ready = null;

    const entry = (item) => {
      const link = document.createElement("a");
      link.href = root + item.href;
      link.textContent = item.title;
      const more = document.createElement("small");
      more.textContent = `${item.kind === "guide" ? "Guide" : "Plugin"} · ${item.text}`.slice(0, 120);
      link.append(more);
      const line = document.createElement("li");
      line.append(link);
      return line;
    };

    const show = async () => {
      ready ??= load(`${root}_static/search-index.js`);
      await ready.catch(() => {});
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = words.length ? matches(window.heimnetzSearch ?? [], words) : [];
      list.replaceChildren(...found.map(entry));
      list.hidden = found.length === 0;
      tally.textContent = words.length ? `${found.length} found` : "";
    };

    input.addEventListener("input", show);
    box.addEventListener("keydown", (event) => {
      const stops = [input, ...list.querySelectorAll("a")];
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        const at = stops.indexOf(document.activeElement);
        stops[(at + step + stops.length) % stops.length].focus();
      } else if (event.key === "Enter" && document.activeElement === input) {
        stops[1]?.click();
      } else if (event.key === "Escape") {
        list.hidden = true;
        input.focus();
      }
    });
    document.addEventListener("click", (event) => {
      if (!box.contains(event.target)) list.hidden = true;
    });
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        input.focus();
      }
    });
    box.hidden = false;
  };

  const offerCopies = () => {
    if (!navigator.clipboard) return;
    for (const block of document.querySelectorAll("figure.code pre")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(block.querySelector("code").textContent);
        button.textContent = "Copied";
        setTimeout(() => {
          button.textContent = "Copy";
        }, 2000);
      });
      block.prepend(button);
    }
  };

  const tellNewer = async () => {
    const frame = document.querySelector(".frame[data-version]");
    if (!frame || !frame.dataset.up) return;
    try {
      await load(`${frame.dataset.up}latest.js`);
    } catch {
      return;
    }
    const newest = window.heimnetzLatest;
    if (!newest || newest === frame.dataset.version) return;
    const link = document.createElement("a");
    link.href = `${frame.dataset.up}index.html`;
    link.textContent = `version ${newest}`;
    const notice = document.getElementById("newer");
    notice.append("These pages are not about the latest version. That is ", link, ".");
    notice.hidden = false;
  };

  const followReading = () => {
    const links = new Map(
      [...document.querySelectorAll(".toc a[href^='#']")].map((link) => [link.hash.slice(1), link]),
    );
    if (!links.size || !("IntersectionObserver" in window)) return;
    const watcher = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          for (const link of links.values()) link.removeAttribute("aria-current");
          links.get(entry.target.id)?.setAttribute("aria-current", "location");
        }
      },
      { rootMargin: "-10% 0px -80% 0px" },
    );
    for (const section of document.querySelectorAll("main > section[id]")) watcher.observe(section);
  };

  document.addEventListener("DOMContentLoaded", () => {
    offerThemes();
    offerSearch();
    offerCopies();
    followReading();
    void tellNewer();
  });
})();
