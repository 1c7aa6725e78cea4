# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_probe_global_optspecs
    string join \n c/config= v/verbose once select= gate= deadline= fail-on-warn exit-map= format= output= checklist= check lang= sign-key= subject= h/help V/version
end

function __fish_probe_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_probe_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_probe_using_subcommand
    set -l cmd (__fish_probe_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c probe -n "__fish_probe_needs_command" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_needs_command" -l select -d 'Only these probes, and what they depend on: an id, `tag:NAME`, or an item\'s id; `*` as wildcard. Repeatable' -r
complete -c probe -n "__fish_probe_needs_command" -l gate -d 'The gate that decides the exit code; without it all gates do' -r
complete -c probe -n "__fish_probe_needs_command" -l deadline -d 'Bounds the whole run, such as 60s; what has not ended by then is unknown' -r
complete -c probe -n "__fish_probe_needs_command" -l exit-map -d 'Use the exit codes of another tool' -r -f -a "probe\t'0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn'
nagios\t'0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors)'"
complete -c probe -n "__fish_probe_needs_command" -l format -d 'The form on stdout; without it: a table on a terminal, JSON otherwise' -r -f -a "json\t'`probe.verdict/v1`'
table\t'For people'
markdown\t'The checklist, written anew'
jsonl\t'One line of JSON an item'
junit\t'`JUnit` XML, for Jenkins, GitLab and other CI'
sarif\t'SARIF 2.1.0, for code scanning'
tap\t'Test Anything Protocol, version 14'
nagios\t'The line of a monitoring plugin; on stdout with its exit codes'
prometheus\t'Prometheus text, for the textfile collector'
summary\t'Markdown for a pull request or a job summary'
github\t'Annotations of GitHub Actions'
cdevents\t'Test events of `CDEvents`, one line of JSON each'
ohdf\t'OASIS Heimdall data format'
html\t'A page: one file, for a browser'
intoto\t'A signed in-toto statement, with `--sign-key`'"
complete -c probe -n "__fish_probe_needs_command" -l output -d 'Also write the verdict to a file, whole or not at all; `-` is stdout, in place of `--format`. Repeatable' -r
complete -c probe -n "__fish_probe_needs_command" -l checklist -d 'The checklist in Markdown: its claims are held against the results, its rows become items' -r -F
complete -c probe -n "__fish_probe_needs_command" -l lang -d 'The language of titles, statuses and reports; without it: English in tables, a document\'s own in Markdown' -r -f -a "zh\t'Chinese'
en\t'English'"
complete -c probe -n "__fish_probe_needs_command" -l sign-key -d 'The private key for `--output intoto=FILE`: PEM, PKCS#8, Ed25519 or ECDSA P-256' -r -F
complete -c probe -n "__fish_probe_needs_command" -l subject -d 'An artifact that is being deployed, in place of `[agent] digests`. Repeatable' -r
complete -c probe -n "__fish_probe_needs_command" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_needs_command" -l once -d 'Run every probe once, print the verdict, exit with the gate\'s code. Without it and without a command: run as a daemon, until SIGTERM'
complete -c probe -n "__fish_probe_needs_command" -l fail-on-warn -d 'Exit with 4 when the gate only warns'
complete -c probe -n "__fish_probe_needs_command" -l check -d 'Write no Markdown, and exit with 1 when the checklist (or the file that `--output markdown=` names) is out of date'
complete -c probe -n "__fish_probe_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c probe -n "__fish_probe_needs_command" -s V -l version -d 'Print version'
complete -c probe -n "__fish_probe_needs_command" -f -a "check" -d 'Validate the configuration: all errors at once, nothing is probed'
complete -c probe -n "__fish_probe_needs_command" -f -a "explain" -d 'Print a kind\'s facts, rules, privileges and side effects'
complete -c probe -n "__fish_probe_needs_command" -f -a "kinds" -d 'List the kinds'
complete -c probe -n "__fish_probe_needs_command" -f -a "schema" -d 'Print a JSON Schema'
complete -c probe -n "__fish_probe_needs_command" -f -a "init" -d 'Print a commented starter configuration for what the environment suggests'
complete -c probe -n "__fish_probe_needs_command" -f -a "replay" -d 'Judge stored evidence again, without any connection'
complete -c probe -n "__fish_probe_needs_command" -f -a "diff" -d 'Compare two verdicts: exit 1 when anything got worse, vanished, or is new and not seen to be good'
complete -c probe -n "__fish_probe_needs_command" -f -a "verify" -d 'Check a signed statement: exit 0 only when its signature, subject, age and gate hold, 1 when one does not'
complete -c probe -n "__fish_probe_needs_command" -f -a "checklist" -d 'Read a checklist in Markdown, or freeze who its rows are'
complete -c probe -n "__fish_probe_needs_command" -f -a "wait" -d 'Wait until a gate passes: probe again and again, or ask a daemon. Exit codes are those of a single run'
complete -c probe -n "__fish_probe_needs_command" -f -a "health" -d 'Ask whether a daemon lives, whatever its gates say: 0 when it does, 1 when it does not'
complete -c probe -n "__fish_probe_needs_command" -f -a "completions" -d 'Print shell completions'
complete -c probe -n "__fish_probe_needs_command" -f -a "man" -d 'Print the manual page'
complete -c probe -n "__fish_probe_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c probe -n "__fish_probe_using_subcommand check" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand check" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand check" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand explain" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand explain" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand explain" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand kinds" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand kinds" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand kinds" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand schema" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand schema" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c probe -n "__fish_probe_using_subcommand init" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand init" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand init" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand replay" -l select -d 'Only these probes, and what they depend on: an id, `tag:NAME`, or an item\'s id; `*` as wildcard. Repeatable' -r
complete -c probe -n "__fish_probe_using_subcommand replay" -l gate -d 'The gate that decides the exit code; without it all gates do' -r
complete -c probe -n "__fish_probe_using_subcommand replay" -l deadline -d 'Bounds the whole run, such as 60s; what has not ended by then is unknown' -r
complete -c probe -n "__fish_probe_using_subcommand replay" -l exit-map -d 'Use the exit codes of another tool' -r -f -a "probe\t'0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn'
nagios\t'0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors)'"
complete -c probe -n "__fish_probe_using_subcommand replay" -l format -d 'The form on stdout; without it: a table on a terminal, JSON otherwise' -r -f -a "json\t'`probe.verdict/v1`'
table\t'For people'
markdown\t'The checklist, written anew'
jsonl\t'One line of JSON an item'
junit\t'`JUnit` XML, for Jenkins, GitLab and other CI'
sarif\t'SARIF 2.1.0, for code scanning'
tap\t'Test Anything Protocol, version 14'
nagios\t'The line of a monitoring plugin; on stdout with its exit codes'
prometheus\t'Prometheus text, for the textfile collector'
summary\t'Markdown for a pull request or a job summary'
github\t'Annotations of GitHub Actions'
cdevents\t'Test events of `CDEvents`, one line of JSON each'
ohdf\t'OASIS Heimdall data format'
html\t'A page: one file, for a browser'
intoto\t'A signed in-toto statement, with `--sign-key`'"
complete -c probe -n "__fish_probe_using_subcommand replay" -l output -d 'Also write the verdict to a file, whole or not at all; `-` is stdout, in place of `--format`. Repeatable' -r
complete -c probe -n "__fish_probe_using_subcommand replay" -l checklist -d 'The checklist in Markdown: its claims are held against the results, its rows become items' -r -F
complete -c probe -n "__fish_probe_using_subcommand replay" -l lang -d 'The language of titles, statuses and reports; without it: English in tables, a document\'s own in Markdown' -r -f -a "zh\t'Chinese'
en\t'English'"
complete -c probe -n "__fish_probe_using_subcommand replay" -l sign-key -d 'The private key for `--output intoto=FILE`: PEM, PKCS#8, Ed25519 or ECDSA P-256' -r -F
complete -c probe -n "__fish_probe_using_subcommand replay" -l subject -d 'An artifact that is being deployed, in place of `[agent] digests`. Repeatable' -r
complete -c probe -n "__fish_probe_using_subcommand replay" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand replay" -l fail-on-warn -d 'Exit with 4 when the gate only warns'
complete -c probe -n "__fish_probe_using_subcommand replay" -l check -d 'Write no Markdown, and exit with 1 when the checklist (or the file that `--output markdown=` names) is out of date'
complete -c probe -n "__fish_probe_using_subcommand replay" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c probe -n "__fish_probe_using_subcommand diff" -l format -d 'The form on stdout; without it: a table on a terminal, JSON otherwise' -r -f -a "table\t'For people'
json\t'For programs: `probe.diff/v1`'
markdown\t'For a pull request'"
complete -c probe -n "__fish_probe_using_subcommand diff" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand diff" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c probe -n "__fish_probe_using_subcommand verify" -l key -d 'The public key: PEM, Ed25519 or ECDSA P-256' -r -F
complete -c probe -n "__fish_probe_using_subcommand verify" -l subject -d 'The artifact that it must be about, by its digest, or by name and digest. Repeatable: about each of them' -r
complete -c probe -n "__fish_probe_using_subcommand verify" -l max-age -d 'How old its verdict may be, such as 24h; without it: as old as it is' -r
complete -c probe -n "__fish_probe_using_subcommand verify" -l gate -d 'The gate that must have passed; without it: the one that decided the run' -r
complete -c probe -n "__fish_probe_using_subcommand verify" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand verify" -l fail-on-warn -d 'Refuse a gate that only warned'
complete -c probe -n "__fish_probe_using_subcommand verify" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand verify" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand checklist; and not __fish_seen_subcommand_from read lock help" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand checklist; and not __fish_seen_subcommand_from read lock help" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand checklist; and not __fish_seen_subcommand_from read lock help" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand checklist; and not __fish_seen_subcommand_from read lock help" -f -a "read" -d 'Print its items with their claims, its gates, and what is odd about it; nothing is written'
complete -c probe -n "__fish_probe_using_subcommand checklist; and not __fish_seen_subcommand_from read lock help" -f -a "lock" -d 'Write FILE.md.lock: rows keep their ids from then on, wherever they are moved and whatever they are called'
complete -c probe -n "__fish_probe_using_subcommand checklist; and not __fish_seen_subcommand_from read lock help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from read" -l format -d 'The form on stdout; without it: a table on a terminal, JSON otherwise' -r -f -a "json\t'For programs'
table\t'For people'"
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from read" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from read" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from read" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from lock" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from lock" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from lock" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from help" -f -a "read" -d 'Print its items with their claims, its gates, and what is odd about it; nothing is written'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from help" -f -a "lock" -d 'Write FILE.md.lock: rows keep their ids from then on, wherever they are moved and whatever they are called'
complete -c probe -n "__fish_probe_using_subcommand checklist; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c probe -n "__fish_probe_using_subcommand wait" -l timeout -d 'How long to wait' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l every -d 'How long to pause between two tries' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l url -d 'The address of a daemon, such as `http://127.0.0.1:9730`; without it the probes run here' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l token-file -d 'A file with the token that the daemon wants' -r -F
complete -c probe -n "__fish_probe_using_subcommand wait" -l ca-file -d 'The roots (PEM) that the daemon\'s certificate is checked with; without it those of the system' -r -F
complete -c probe -n "__fish_probe_using_subcommand wait" -l select -d 'Only these probes, and what they depend on: an id, `tag:NAME`, or an item\'s id; `*` as wildcard. Repeatable' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l gate -d 'The gate that decides the exit code; without it all gates do' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l deadline -d 'Bounds the whole run, such as 60s; what has not ended by then is unknown' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l exit-map -d 'Use the exit codes of another tool' -r -f -a "probe\t'0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn'
nagios\t'0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors)'"
complete -c probe -n "__fish_probe_using_subcommand wait" -l format -d 'The form on stdout; without it: a table on a terminal, JSON otherwise' -r -f -a "json\t'`probe.verdict/v1`'
table\t'For people'
markdown\t'The checklist, written anew'
jsonl\t'One line of JSON an item'
junit\t'`JUnit` XML, for Jenkins, GitLab and other CI'
sarif\t'SARIF 2.1.0, for code scanning'
tap\t'Test Anything Protocol, version 14'
nagios\t'The line of a monitoring plugin; on stdout with its exit codes'
prometheus\t'Prometheus text, for the textfile collector'
summary\t'Markdown for a pull request or a job summary'
github\t'Annotations of GitHub Actions'
cdevents\t'Test events of `CDEvents`, one line of JSON each'
ohdf\t'OASIS Heimdall data format'
html\t'A page: one file, for a browser'
intoto\t'A signed in-toto statement, with `--sign-key`'"
complete -c probe -n "__fish_probe_using_subcommand wait" -l output -d 'Also write the verdict to a file, whole or not at all; `-` is stdout, in place of `--format`. Repeatable' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -l checklist -d 'The checklist in Markdown: its claims are held against the results, its rows become items' -r -F
complete -c probe -n "__fish_probe_using_subcommand wait" -l lang -d 'The language of titles, statuses and reports; without it: English in tables, a document\'s own in Markdown' -r -f -a "zh\t'Chinese'
en\t'English'"
complete -c probe -n "__fish_probe_using_subcommand wait" -l sign-key -d 'The private key for `--output intoto=FILE`: PEM, PKCS#8, Ed25519 or ECDSA P-256' -r -F
complete -c probe -n "__fish_probe_using_subcommand wait" -l subject -d 'An artifact that is being deployed, in place of `[agent] digests`. Repeatable' -r
complete -c probe -n "__fish_probe_using_subcommand wait" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand wait" -l fail-on-warn -d 'Exit with 4 when the gate only warns'
complete -c probe -n "__fish_probe_using_subcommand wait" -l check -d 'Write no Markdown, and exit with 1 when the checklist (or the file that `--output markdown=` names) is out of date'
complete -c probe -n "__fish_probe_using_subcommand wait" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c probe -n "__fish_probe_using_subcommand health" -l url -d 'The address of the daemon' -r
complete -c probe -n "__fish_probe_using_subcommand health" -l ca-file -d 'The roots (PEM) that its certificate is checked with; without it those of the system' -r -F
complete -c probe -n "__fish_probe_using_subcommand health" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand health" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand health" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand completions" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand completions" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand completions" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand man" -s c -l config -d 'The configuration' -r -F
complete -c probe -n "__fish_probe_using_subcommand man" -s v -l verbose -d 'Say more on stderr; twice for details'
complete -c probe -n "__fish_probe_using_subcommand man" -s h -l help -d 'Print help'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "check" -d 'Validate the configuration: all errors at once, nothing is probed'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "explain" -d 'Print a kind\'s facts, rules, privileges and side effects'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "kinds" -d 'List the kinds'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "schema" -d 'Print a JSON Schema'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "init" -d 'Print a commented starter configuration for what the environment suggests'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "replay" -d 'Judge stored evidence again, without any connection'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "diff" -d 'Compare two verdicts: exit 1 when anything got worse, vanished, or is new and not seen to be good'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "verify" -d 'Check a signed statement: exit 0 only when its signature, subject, age and gate hold, 1 when one does not'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "checklist" -d 'Read a checklist in Markdown, or freeze who its rows are'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "wait" -d 'Wait until a gate passes: probe again and again, or ask a daemon. Exit codes are those of a single run'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "health" -d 'Ask whether a daemon lives, whatever its gates say: 0 when it does, 1 when it does not'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "completions" -d 'Print shell completions'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "man" -d 'Print the manual page'
complete -c probe -n "__fish_probe_using_subcommand help; and not __fish_seen_subcommand_from check explain kinds schema init replay diff verify checklist wait health completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c probe -n "__fish_probe_using_subcommand help; and __fish_seen_subcommand_from checklist" -f -a "read" -d 'Print its items with their claims, its gates, and what is odd about it; nothing is written'
complete -c probe -n "__fish_probe_using_subcommand help; and __fish_seen_subcommand_from checklist" -f -a "lock" -d 'Write FILE.md.lock: rows keep their ids from then on, wherever they are moved and whatever they are called'
