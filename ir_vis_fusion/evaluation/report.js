'use strict';
// Three stops of a slider: 0 infrared, 1 visible, 2 the chosen method; in between a wipe.
const data = JSON.parse(document.getElementById('data').textContent);
const element = (id) => document.getElementById(id);
const state = { method: (data.methods || [])[0], position: data.position, score: 0 };
const cards = new Set();

function make(tag, attributes = {}, parent = null) {
  const svg = ['svg', 'rect', 'text'].includes(tag);
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'textContent') node.textContent = value;
    else node.setAttribute(name, value);
  }
  if (parent) parent.append(node);
  return node;
}

function layerAt(stop) {
  return [data.sources[0], data.sources[1], state.method][stop];
}

class Card {
  constructor(stem, parent, note) {
    this.stem = stem;
    this.position = state.position;
    this.figure = make('figure', {}, parent);
    this.stage = make('div', { class: 'stage' }, this.figure);
    const [width, height] = data.sizes[stem];
    this.stage.style.aspectRatio = `${width} / ${height}`;
    this.under = make('img', { alt: '', draggable: 'false' }, this.stage);
    this.over = make('img', { alt: '', draggable: 'false' }, this.stage);
    this.boxes = make('svg', { viewBox: `0 0 ${width} ${height}` }, this.stage);
    this.edge = make('div', { class: 'edge' }, this.stage);
    this.left = make('span', { class: 'tag left' }, this.stage);
    this.right = make('span', { class: 'tag right' }, this.stage);
    const caption = make('figcaption', {}, this.figure);
    make('span', { textContent: stem }, caption);
    this.note = make('span', { textContent: note || '' }, caption);
    const button = make('button', { class: 'enlarge', type: 'button', textContent: 'enlarge' },
      caption);
    button.addEventListener('click', () => {
      button.textContent = this.figure.classList.toggle('large') ? 'reduce' : 'enlarge';
    });
    this.stage.addEventListener('pointerdown', (event) => {
      this.stage.setPointerCapture(event.pointerId);
      this.drag(event);
    });
    this.stage.addEventListener('pointermove', (event) => {
      if (event.buttons) this.drag(event);
    });
    cards.add(this);
    this.figure.card = this;
    this.draw();
  }

  drag(event) {
    const frame = this.stage.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width));
    const stop = this.position > 1 ? 1 : 0;
    this.position = Math.min(stop + 1, Math.max(stop + (stop ? 1e-6 : 0), stop + 1 - share));
    this.draw();
  }

  // The wipe moves from right to left as the position rises: what comes next enters at the right.
  draw() {
    const first = this.position > 1 ? 1 : 0;
    const share = this.position - first;
    const names = [layerAt(first), layerAt(first + 1)];
    [this.under, this.over].forEach((image, at) => {
      const address = data.pictures[this.stem][names[at]];
      if (image.src !== address) image.src = address;
    });
    const cut = 100 * (1 - share);
    this.over.style.clipPath = `inset(0 0 0 ${cut}%)`;
    this.edge.style.left = `${cut}%`;
    this.edge.hidden = share === 0 || share === 1;
    this.left.textContent = share < 1 ? data.labels[names[0]] || names[0] : '';
    this.right.textContent = share > 0 ? data.labels[names[1]] || names[1] : '';
    this.left.hidden = share === 1;
    this.right.hidden = share === 0;
    if (data.boxes) this.drawBoxes(names[share < 0.5 ? 0 : 1]);
  }

  drawBoxes(layer) {
    this.boxes.replaceChildren();
    const [width] = data.sizes[this.stem];
    const box = (x, y, w, h, attributes) => make('rect',
      { x, y, width: w, height: h, ...attributes }, this.boxes);
    for (const [, x, y, w, h] of data.truth[this.stem]) box(x, y, w, h, { class: 'truth' });
    for (const [kind, x, y, w, h, score] of data.boxes[this.stem][layer]) {
      if (score < state.score) continue;
      const color = data.palette[kind % data.palette.length];
      box(x, y, w, h, { stroke: color });
      const size = width / 40;
      const label = make('text', { x, y: Math.max(size, y - size / 4), fill: color,
        'font-size': size, 'stroke-width': size / 6 }, this.boxes);
      label.textContent = `${data.classes[kind]} ${score.toFixed(2)}`;
    }
  }
}

function redraw() {
  for (const card of cards) card.draw();
}

function fill(select, names, chosen) {
  for (const name of names) make('option', { value: name, textContent: name }, select);
  select.value = chosen;
}

function clear(parent) {
  for (const figure of parent.children) cards.delete(figure.card);
  parent.replaceChildren();
}

function showCases() {
  const metric = element('metric').value;
  const values = data.values[metric][state.method];
  const stems = Object.keys(data.pictures).filter((stem) => values[stem] != null);
  const sign = data.higher[metric] ? 1 : -1;
  stems.sort((a, b) => sign * (values[a] - values[b]));
  const show = (id, list) => {
    clear(element(id));
    for (const stem of list) {
      new Card(stem, element(id), `${metric} ${Number(values[stem].toPrecision(4))}`);
    }
  };
  // Of few pairs none is both.
  const count = Math.min(4, Math.max(1, Math.floor(stems.length / 2)));
  show('worst', stems.slice(0, count));
  show('best', stems.slice(-count).reverse());
}

function setUpGallery() {
  for (const select of document.querySelectorAll('select.method')) {
    fill(select, data.methods, state.method);
    select.addEventListener('change', () => {
      state.method = select.value;
      for (const other of document.querySelectorAll('select.method')) other.value = select.value;
      if (element('metric')) showCases();
      redraw();
    });
  }
  for (const stem of Object.keys(data.pictures)) new Card(stem, element('gallery'));
  element('position').value = state.position;
  element('position').addEventListener('input', (event) => {
    state.position = Number(event.target.value);
    for (const card of cards) card.position = state.position;
    redraw();
  });
  if (element('score')) {
    const input = element('score');
    const follow = () => {
      state.score = Number(input.value);
      element('score-text').textContent = state.score.toFixed(2);
      redraw();
    };
    input.addEventListener('input', follow);
    follow();
  }
  if (element('metric')) {
    fill(element('metric'), Object.keys(data.values), data.metric);
    element('metric').addEventListener('change', showCases);
    showCases();
  }
}

function sortBy(heading) {
  const table = heading.closest('table');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const down = !heading.classList.contains('sorted') || heading.dataset.order === 'up';
  for (const other of table.tHead.rows[0].cells) other.classList.remove('sorted');
  heading.classList.add('sorted');
  heading.dataset.order = down ? 'down' : 'up';
  const key = (row) => {
    const text = row.cells[heading.cellIndex].firstChild.textContent;
    return heading.cellIndex ? Number.parseFloat(text) : text;
  };
  rows.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (typeof x === 'string') return down ? x.localeCompare(y) : y.localeCompare(x);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return down ? y - x : x - y;
  });
  body.append(...rows);
}

for (const heading of document.querySelectorAll('table.figures thead th')) {
  heading.addEventListener('click', () => sortBy(heading));
}
if (data.pictures) setUpGallery();
