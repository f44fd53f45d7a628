# Edits the lines passwd: and group: of nsswitch.conf(5), token by token; every other line stays as it is.
#
# add: behind the first `files` or `compat` and its [actions], else at the end. Where those actions merge the results and
#      something follows, ours merge too: the chain would break otherwise.
# del: the token and the actions behind it.

# Cuts a line into token[1..n]; a [list of actions] is one token.
function tokenize(text,    n) {
    n = 0
    while (match(text, /\[[^]]*\]|[^][ \t]+/)) {
        token[++n] = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
    }
    return n
}

function is_action(k) { return substr(token[k], 1, 1) == "[" }

function join_tokens(from, to,    k, text) {
    text = ""
    for (k = from; k <= to; k++) text = text " " token[k]
    return text
}

function added(n,    at, ours) {
    ours = " oauth2"
    for (at = 1; at <= n && token[at] != "files" && token[at] != "compat"; at++) { }
    if (at > n) return join_tokens(1, n) ours
    while (at < n && is_action(at + 1)) {
        at++
        if (token[at] ~ /SUCCESS=merge/ && at < n && !is_action(at + 1)) ours = ours " [SUCCESS=merge]"
    }
    return join_tokens(1, at) ours join_tokens(at + 1, n)
}

function deleted(n,    k, text, inside) {
    for (k = 1; k <= n; k++) {
        inside = token[k] == "oauth2" || (inside && is_action(k))
        if (!inside) text = text " " token[k]
    }
    return text
}

/^[ \t]*(passwd|group)[ \t]*:/ {
    start = index($0, "#")
    body = start ? substr($0, 1, start - 1) : $0
    comment = start ? " " substr($0, start) : ""
    colon = index(body, ":")
    sources = substr(body, colon + 1)
    match(sources, /^[ \t]*/)
    space = RLENGTH > 0 ? substr(sources, 1, RLENGTH) : " "
    n = tokenize(sources)
    present = 0
    for (k = 1; k <= n; k++) if (token[k] == "oauth2") present = 1
    if (present == (action == "add")) { print; next }
    line = action == "add" ? added(n) : deleted(n)
    print substr(body, 1, colon) space substr(line, 2) comment
    next
}
{ print }
