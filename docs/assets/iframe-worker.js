/* Browsers start no worker for a page that was opened as a file. The theme's search is one: for such pages, and for
   them alone, it runs in a hidden frame instead, which loads the same script and passes the same messages. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inside = frame.contentWindow
      this.ready = new Promise((resolve, reject) => {
        inside.postMessage = (data) => this.dispatchEvent(Object.assign(new Event("message"), { data }))
        inside.importScripts = (...scripts) =>
          scripts.reduce(
            (before, script) => before.then(() => load(inside, script)),
            Promise.resolve()
          )
        load(inside, url).then(resolve, reject)
      })
      this.inside = inside
      this.onmessage = this.onerror = null
      this.addEventListener("message", (event) => this.onmessage && this.onmessage(event))
      this.ready.catch((error) => this.onerror && this.onerror(error))
    }
    postMessage(data) {
      this.ready.then(() => {
        const event = Object.assign(new Event("message"), { data })
        this.inside.dispatchEvent(event)
        if (this.inside.onmessage) this.inside.onmessage(event)
      })
    }
    terminate() {
      this.inside.frameElement.remove()
    }
  }
  function load(inside, url) {
    return new Promise((resolve, reject) => {
      const script = inside.document.createElement("script")
      script.src = new URL(url, location.href)
      script.onload = () => resolve()
      script.onerror = () => reject(new Error(`cannot load ${url}`))
      inside.document.body.appendChild(script)
    })
  }
}
