// Acts on a virtual token of fidokit, by its control socket. Node 18 or later, no packages.
import net from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";

export class Hands {
  // path: the control socket; by default that of the token that `fidokit virtual run` gave us.
  static async reach(path = process.env.FIDOKIT_CONTROL) {
    if (!path) throw new Error("FIDOKIT_CONTROL is not set");
    const hands = new Hands(net.createConnection(path));
    const greeting = await hands.#answer();
    if (greeting["fidokit-control"] !== 1) throw new Error("another protocol");
    return hands;
  }

  #socket;
  #heard = "";
  #answers = []; // that nobody waits for yet
  #waiting = []; // who waits for one
  #gone = null;

  constructor(socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text) => this.#hear(text));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("the token is not served any more")));
  }

  // One request; resolves to the members of its answer.
  async ask(what, members = {}) {
    this.#socket.write(JSON.stringify({ do: what, ...members }) + "\n");
    const answer = await this.#answer();
    if (!answer.ok) throw new Error(`${answer.error} (${answer.hint})`);
    return answer;
  }

  touch() {
    return this.ask("touch");
  }

  // Resolves to "touch", "long-touch", "finger" or "sample"; to null where nothing is asked for.
  async waitForTouch(seconds = 10) {
    return (await this.ask("wait-for-touch", { seconds })).waiting;
  }

  unplug() {
    return this.ask("unplug");
  }

  insert() {
    return this.ask("insert");
  }

  // fault("refuse", { command: "getInfo", with: { status: 0x7f } })
  fault(name, members = {}) {
    return this.ask("fault", { fault: name, ...members });
  }

  close() {
    this.#socket.end();
  }

  #answer() {
    if (this.#answers.length) return Promise.resolve(this.#answers.shift());
    if (this.#gone) return Promise.reject(this.#gone);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #hear(text) {
    const lines = (this.#heard + text).split("\n");
    this.#heard = lines.pop();
    for (const line of lines) {
      const answer = JSON.parse(line);
      const first = this.#waiting.shift();
      if (first) first.resolve(answer);
      else this.#answers.push(answer);
    }
  }

  #end(error) {
    this.#gone ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#gone);
  }
}

// As a program: touches the token once it asks, then pulls it out and plugs it in again.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const hands = await Hands.reach();
  console.log("waits for:", await hands.waitForTouch(30));
  await hands.touch();
  await hands.unplug();
  await hands.insert();
  await hands.fault("refuse", { command: "getInfo", with: { status: 0x7f } });
  console.log("serial:", (await hands.ask("state")).state.serial);
  hands.close();
}
