// Opens a page of docs/examples without a browser, asks "Why?", and prints what the page shows and
// which of its sources would ask again.
const [, , url] = process.argv;
const form = {};
const pre = { textContent: "", append: (text) => (pre.textContent += text) };
const open = [];
const reading = [];
const get = globalThis.fetch;

globalThis.document = { querySelector: (name) => ({ form, pre })[name] };
globalThis.prompt = () => "Why?";
globalThis.FormData = class { constructor() { return [["q", "Why?"]]; } };
globalThis.fetch = (path) => get(new URL(path, url));
// As https://html.spec.whatwg.org/multipage/server-sent-events.html has it; node 20 has none.
globalThis.EventSource = class {
  constructor(path) {
    open.push(this);
    reading.push(this.#read(path));
  }
  close() {
    open.splice(open.indexOf(this), 1);
  }
  async #read(path) {
    const response = await fetch(path);
    if (response.status !== 200) return this.onerror({});
    for (const event of (await response.text()).split("\n\n")) {
      const data = event.match(/^data: (.*)$/m)?.[1];
      const listener = /^event: error$/m.test(event) ? this.onerror : this.onmessage;
      if (data && open.includes(this)) listener({ data });
    }
  }
};

const page = await (await get(url)).text();
(0, eval)(page.match(/<script>(.*)<\/script>/s)[1]);
await form.onsubmit?.({ preventDefault() {} });
await Promise.all(reading);
console.log(JSON.stringify({ shown: pre.textContent, open: open.length }));
