/* Acts on a virtual token of fidokit, by its control socket. C11 and POSIX, no library. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct hands {
	FILE *stream;
	char answer[4096]; /* of the last request: one object, "ok" its first member */
};

static int hear(struct hands *hands)
{
	size_t size;
	if (fgets(hands->answer, sizeof(hands->answer), hands->stream) == NULL)
		return -1;
	size = strlen(hands->answer);
	return size > 0 && hands->answer[size - 1] == '\n' ? 0 : -1;
}

/* 0, or -1 where nobody is there; path: NULL for the token that `fidokit virtual run` gave us. */
static int hands_reach(struct hands *hands, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int channel;
	if (path == NULL)
		path = getenv("FIDOKIT_CONTROL");
	if (path == NULL || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	channel = socket(AF_UNIX, SOCK_STREAM, 0);
	if (channel < 0 || connect(channel, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -1;
	hands->stream = fdopen(channel, "r+");
	if (hands->stream == NULL || hear(hands) != 0)
		return -1;
	return strncmp(hands->answer, "{\"fidokit-control\": 1,", 22) == 0 ? 0 : -1;
}

/* One request, a JSON object in one line: 0 if it was done; hands->answer says what came back. */
static int hands_ask(struct hands *hands, const char *request)
{
	fseek(hands->stream, 0, SEEK_CUR); /* between reading and writing, as C wants it */
	if (fprintf(hands->stream, "%s\n", request) < 0 || fflush(hands->stream) != 0)
		return -1;
	if (hear(hands) != 0)
		return -1;
	return strncmp(hands->answer, "{\"ok\": true", 11) == 0 ? 0 : -1;
}

static int hands_touch(struct hands *hands)
{
	return hands_ask(hands, "{\"do\": \"touch\"}");
}

/* 1 as soon as the token asks for a touch or a finger, 0 if it does not, -1 for an error. */
static int hands_wait_for_touch(struct hands *hands, int seconds)
{
	char request[64];
	snprintf(request, sizeof(request), "{\"do\": \"wait-for-touch\", \"seconds\": %d}", seconds);
	if (hands_ask(hands, request) != 0)
		return -1;
	return strstr(hands->answer, "\"waiting\": null") == NULL;
}

/* A text member of the last answer; cut where there is no room. */
static const char *hands_text(struct hands *hands, const char *name, char *into, size_t room)
{
	char wanted[64];
	const char *at;
	size_t size = 0;
	snprintf(wanted, sizeof(wanted), "\"%s\": \"", name);
	at = strstr(hands->answer, wanted);
	for (at = at ? at + strlen(wanted) : ""; *at && *at != '"' && size + 1 < room; at++)
		into[size++] = *at;
	into[size] = 0;
	return into;
}

static void must(struct hands *hands, int done)
{
	if (done < 0) {
		fprintf(stderr, "refused: %s\n", hands->answer);
		exit(1);
	}
}

/* As a program: touches the token once it asks, then pulls it out and plugs it in again. */
int main(void)
{
	static struct hands hands;
	char text[64];
	must(&hands, hands_reach(&hands, NULL));
	must(&hands, hands_wait_for_touch(&hands, 30));
	printf("waits for: %s\n", hands_text(&hands, "waiting", text, sizeof(text)));
	must(&hands, hands_touch(&hands));
	must(&hands, hands_ask(&hands, "{\"do\": \"unplug\"}"));
	must(&hands, hands_ask(&hands, "{\"do\": \"insert\"}"));
	must(&hands, hands_ask(&hands, "{\"do\": \"fault\", \"fault\": \"refuse\","
				       " \"command\": \"getInfo\", \"with\": {\"status\": 127}}"));
	must(&hands, hands_ask(&hands, "{\"do\": \"state\"}"));
	printf("serial: %s\n", hands_text(&hands, "serial", text, sizeof(text)));
	fclose(hands.stream);
	return 0;
}
