// Answers navigator.credentials by a virtual token: put into every document before its own scripts.
// `call` takes a text to the test's process and gives a promise of its answer.
(call => {
  "use strict"
  if (!self.isSecureContext || !self.PublicKeyCredential || self.origin === "null") return

  const container = CredentialsContainer.prototype
  const { create, get } = container
  const ask = async message => JSON.parse(await call(JSON.stringify(message)))
  const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds))

  const isBuffer = value =>
    ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === "[object ArrayBuffer]"

  function octets(value) {
    const view = ArrayBuffer.isView(value)
    return view ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value)
  }

  // JSON has no bytes: {"$bytes": base64url} is what a BufferSource was, and a string stays one.
  function encoded(value) {
    if (isBuffer(value)) {
      const text = btoa(Array.from(octets(value), byte => String.fromCharCode(byte)).join(""))
      return { $bytes: text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") }
    }
    if (Array.isArray(value)) return value.map(encoded)
    if (value === null || typeof value !== "object") return value
    return Object.fromEntries(Object.keys(value).map(name => [name, encoded(value[name])]))
  }

  function decoded(text) {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"))
    return Uint8Array.from(plain, letter => letter.charCodeAt(0)).buffer
  }

  function made(kind, members) {
    const entries = Object.entries(members).map(([name, value]) => [name, { value, enumerable: true }])
    return Object.create(kind.prototype, Object.fromEntries(entries))
  }

  function attestation(json) {
    return made(AuthenticatorAttestationResponse, {
      clientDataJSON: decoded(json.clientDataJSON),
      attestationObject: decoded(json.attestationObject),
      getAuthenticatorData: () => decoded(json.authenticatorData),
      getPublicKey: () => (json.publicKey ? decoded(json.publicKey) : null),
      getPublicKeyAlgorithm: () => json.publicKeyAlgorithm,
      getTransports: () => [...json.transports],
    })
  }

  function assertion(json) {
    return made(AuthenticatorAssertionResponse, {
      clientDataJSON: decoded(json.clientDataJSON),
      authenticatorData: decoded(json.authenticatorData),
      signature: decoded(json.signature),
      userHandle: json.userHandle ? decoded(json.userHandle) : null,
    })
  }

  function extensions(json) {
    const results = structuredClone(json)
    for (const name of Object.keys(results.prf?.results ?? {}))
      results.prf.results[name] = decoded(results.prf.results[name])
    if (results.largeBlob?.blob) results.largeBlob.blob = decoded(results.largeBlob.blob)
    return results
  }

  function credential(json) {
    const { response, clientExtensionResults } = json
    return made(PublicKeyCredential, {
      id: json.id,
      type: json.type,
      rawId: decoded(json.rawId),
      authenticatorAttachment: json.authenticatorAttachment,
      response: response.attestationObject ? attestation(response) : assertion(response),
      getClientExtensionResults: () => extensions(clientExtensionResults),
      toJSON: () => structuredClone(json),
    })
  }

  function failure({ name, message }) {
    return name === "TypeError" ? new TypeError(message) : new DOMException(message, name)
  }

  function allowed(what) {
    const policy = document.permissionsPolicy ?? document.featurePolicy
    return !policy || policy.allowsFeature(`publickey-credentials-${what}`)
  }

  async function answered(what, { publicKey, mediation, signal }) {
    signal?.throwIfAborted()
    if (mediation === "conditional")
      throw new TypeError("a security key is not offered while a form is filled in")
    if (!allowed(what)) throw new DOMException("the document may not do this", "NotAllowedError")
    const ancestors = [...(location.ancestorOrigins ?? [])]
    let answer = await ask({ do: what, options: encoded(publicKey), ancestors })
    const { id } = answer
    for (; answer.pending; answer = await ask({ do: "poll", id })) {
      if (signal?.aborted) {
        await ask({ do: "cancel", id })
        throw signal.reason
      }
      await pause(20)
    }
    if (answer.error) throw failure(answer.error)
    return credential(answer.credential)
  }

  container.create = async function (options) {
    return options?.publicKey ? answered("create", options) : create.call(this, options)
  }
  container.get = async function (options) {
    return options?.publicKey ? answered("get", options) : get.call(this, options)
  }
  PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable = async () => false
  PublicKeyCredential.isConditionalMediationAvailable = async () => false

  ask({ do: "begin" }) // what the frame's last document asked for is over
})
