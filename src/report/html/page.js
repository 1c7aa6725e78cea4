'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const main = $('main'), bar = $('bar'), query = $('q'), count = $('count'), section = $('sec'), differs = $('differs');
  const filters = [...bar.querySelectorAll('[data-f]')];
  const pressed = (button) => button.getAttribute('aria-pressed') === 'true';
  const toggle = (button) => button.setAttribute('aria-pressed', String(!pressed(button)));
  let sections = [], items = [];

  // What is there, read once: the page may hold thousands of items.
  function collect() {
    sections = [...main.querySelectorAll('.sec')].map((node) => ({
      node,
      name: node.dataset.sec,
      items: [...node.querySelectorAll('ul.items>li')].map((node) => ({ node, text: null })),
    }));
    items = sections.flatMap((section) => section.items);
    const chosen = section.value;
    while (section.options.length > 1) section.remove(1);
    for (const { name } of sections) section.add(new Option(name, name));
    section.value = sections.some(({ name }) => name === chosen) ? chosen : '';
  }

  function apply() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const statuses = new Set(filters.filter(pressed).map((button) => button.dataset.f));
    const only = pressed(differs);
    let shown = 0;
    for (const { node, name, items } of sections) {
      let here = 0;
      const wanted = !section.value || section.value === name;
      for (const item of items) {
        let show = wanted && statuses.has(item.node.dataset.r) && (!only || 'd' in item.node.dataset);
        if (show && words.length) {
          item.text ??= item.node.textContent.toLowerCase();
          show = words.every((word) => item.text.includes(word));
        }
        if (item.node.hidden === show) item.node.hidden = !show;
        here += show;
      }
      if (node.hidden === here > 0) node.hidden = here === 0;
      shown += here;
    }
    $('none').hidden = shown > 0 || items.length === 0;
    const text = `${shown} ${count.dataset.of} ${items.length}`;
    if (count.textContent !== text) count.textContent = text;
  }

  // The next or previous item that is shown, from where the focus is.
  function move(step) {
    const shown = items.filter(({ node }) => !node.hidden);
    if (!shown.length) return;
    const at = shown.findIndex(({ node }) => node.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : shown.length - 1) : Math.min(Math.max(at + step, 0), shown.length - 1);
    shown[next].node.querySelector('summary').focus();
  }

  // What a link points at is shown and open, whatever the filters.
  function reveal() {
    const target = location.hash && $(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.querySelector('details');
    if (!details) return;
    target.hidden = false;
    const section = target.closest('.sec');
    if (section) section.hidden = false;
    details.open = true;
    target.scrollIntoView({ block: 'center' });
    details.firstElementChild.focus({ preventScroll: true });
  }

  let waiting;
  query.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(apply, 60); });
  section.addEventListener('change', apply);
  for (const button of [...filters, differs]) button.addEventListener('click', () => { toggle(button); apply(); });
  window.addEventListener('hashchange', reveal);

  const theme = $('theme'), themes = ['auto', 'light', 'dark'], root = document.documentElement;
  const setTheme = (name) => {
    root.dataset.theme = name;
    theme.textContent = theme.dataset.say.split(',')[themes.indexOf(name)];
  };
  theme.addEventListener('click', () => {
    const name = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    setTheme(name);
    try { localStorage.setItem('theme', name); } catch { /* a file may have no storage */ }
  });
  try { const name = localStorage.getItem('theme'); if (themes.includes(name)) setTheme(name); } catch { /* the same */ }

  const help = $('help');
  $('ask').addEventListener('click', () => help.showModal());
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === 'Escape' && event.target === query) {
      query.value = '';
      apply();
      query.blur();
      return;
    }
    if (event.target.matches('input,select,textarea')) return;
    const act = { '/': () => { query.focus(); query.select(); }, j: () => move(1), k: () => move(-1), '?': () => help.showModal() }[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  bar.hidden = false;
  collect();
  apply();
  reveal();

  const { events, fragment, stale, sayStale, sayLost } = document.body.dataset;
  if (!events) return;
  const live = $('live');
  let connected = true, arrived = performance.now(), busy = false, again = false;
  const age = () => Number($('age')?.dataset.age ?? 0) + performance.now() - arrived;
  function tell() {
    const old = age() > Number(stale);
    const text = [connected ? '' : sayLost, old ? `${sayStale} ${Math.round(age() / 1000)}` : ''].join(' ').trim();
    live.hidden = !text;
    // Read aloud when it changes, not every second.
    if (live.dataset.state !== `${connected}${old}`) { live.dataset.state = `${connected}${old}`; live.textContent = text; }
    else if (text && !old) live.textContent = text;
  }
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(fragment, { cache: 'no-store' });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      const open = [...main.querySelectorAll('li[id]>details[open]')].map((node) => node.parentNode.id);
      const focus = document.activeElement?.closest?.('li[id]')?.id;
      const top = scrollY;
      main.innerHTML = text;
      arrived = performance.now();
      for (const id of open) { const node = $(id)?.querySelector('details'); if (node) node.open = true; }
      collect();
      apply();
      if (focus) $(focus)?.querySelector('summary')?.focus({ preventScroll: true });
      scrollTo(0, top);
      connected = true;
    } catch { connected = false; }
    busy = false;
    tell();
    if (again) { again = false; refresh(); }
  }
  const source = new EventSource(events);
  let before = false;
  source.addEventListener('open', () => { const lost = before && !connected; before = true; connected = true; tell(); if (lost) refresh(); });
  source.addEventListener('error', () => { connected = false; tell(); });
  source.addEventListener('verdict', refresh);
  setInterval(tell, 1000);
})();
