// A list that scrolls, and keeps its newest lines in view: when one is added, and when something takes room from it.

const NEAR = 40; // pixels from the end

export class Log {
  constructor(box, list, kept) {
    this.box = box;
    this.list = list;
    this.kept = kept;
    this.empty = box.querySelector(".empty");
    this.atEnd = true;
    box.addEventListener("scroll", () => {
      if (box.clientHeight) this.atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    });
    new ResizeObserver(() => this.follow()).observe(box);
    new ResizeObserver(() => this.follow()).observe(list); // an entry has grown
  }

  append(item) {
    this.empty.hidden = true;
    this.list.append(item);
    if (this.list.childElementCount > this.kept) this.list.firstElementChild.remove();
    this.follow();
  }

  clear() {
    this.list.replaceChildren();
    this.empty.hidden = false;
    this.atEnd = true;
  }

  follow() {
    if (this.atEnd) this.box.scrollTop = this.box.scrollHeight; // who reads further up is left alone
  }
}
