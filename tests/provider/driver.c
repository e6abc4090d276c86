/*
 * Has sk_fidokit.c read replies, and uses and frees what comes out as ssh-sk-helper does.
 * Standard input: for each reply, four bytes of length (big-endian) and the reply.
 * Standard output: for each, what the three readers returned; below it, what a good reply held.
 */
#include "sk_fidokit.c"

static void show(const char *name, const uint8_t *data, size_t size)
{
	printf(" %s=", name);
	for (size_t at = 0; at < size; at++)
		printf("%02x", data[at]);
}

static void drop(void *data, size_t size)
{
	if (data)
		explicit_bzero(data, size);
	free(data);
}

static void show_enrolled(const uint8_t *data, size_t size)
{
	struct sk_enroll_response *made = NULL;
	int status = take_enrolled((struct reply){ data, size, 0 }, &made);
	printf("%d", status);
	if (status)
		return;
	printf(" flags=%02x", made->flags);
	show("key", made->public_key, made->public_key_len);
	show("handle", made->key_handle, made->key_handle_len);
	show("signature", made->signature, made->signature_len);
	show("certificate", made->attestation_cert, made->attestation_cert_len);
	show("authdata", made->authdata, made->authdata_len);
	drop(made->public_key, made->public_key_len);
	drop(made->key_handle, made->key_handle_len);
	drop(made->signature, made->signature_len);
	drop(made->attestation_cert, made->attestation_cert_len);
	drop(made->authdata, made->authdata_len);
	drop(made, sizeof(*made));
}

static void show_signature(const uint8_t *data, size_t size)
{
	struct sk_sign_response *made = NULL;
	int status = take_signature((struct reply){ data, size, 0 }, &made);
	printf("%d", status);
	if (status)
		return;
	printf(" flags=%02x counter=%u", made->flags, made->counter);
	show("r", made->sig_r, made->sig_r_len);
	show("s", made->sig_s, made->sig_s_len);
	drop(made->sig_r, made->sig_r_len);
	drop(made->sig_s, made->sig_s_len);
	drop(made, sizeof(*made));
}

static void show_keys(const uint8_t *data, size_t size)
{
	struct sk_resident_key **keys = NULL;
	size_t count = 0;
	int status = take_keys((struct reply){ data, size, 0 }, &keys, &count);
	printf("%d", status);
	if (status)
		return;
	for (size_t at = 0; at < count; at++) {
		struct sk_resident_key *key = keys[at];
		printf(" slot=%zu alg=%u flags=%02x", key->slot, key->alg, key->flags);
		show("application", (uint8_t *)key->application, strlen(key->application));
		show("user", key->user_id, key->user_id_len);
		show("key", key->key.public_key, key->key.public_key_len);
		show("handle", key->key.key_handle, key->key.key_handle_len);
		free(key->application);
		drop(key->user_id, key->user_id_len);
		drop(key->key.public_key, key->key.public_key_len);
		drop(key->key.key_handle, key->key.key_handle_len);
		drop(key->key.signature, key->key.signature_len);
		drop(key->key.attestation_cert, key->key.attestation_cert_len);
		drop(key, sizeof(*key));
	}
	free(keys);
}

int main(void)
{
	uint8_t head[4];
	while (fread(head, 1, 4, stdin) == 4) {
		struct reply start = { head, sizeof(head), 0 };
		size_t size = take_u32(&start);
		uint8_t *data = malloc(size); /* of exactly this size: reading on is found out */
		if (size && fread(data, 1, size, stdin) != size)
			return 1;
		show_enrolled(data, size);
		fputs("; ", stdout);
		show_signature(data, size);
		fputs("; ", stdout);
		show_keys(data, size);
		fputs("\n", stdout);
		free(data);
	}
	return 0;
}
