# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_keadm_global_optspecs
    string join \n v/v= h/help V/version
end

function __fish_keadm_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_keadm_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_keadm_using_subcommand
    set -l cmd (__fish_keadm_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c keadm -n "__fish_keadm_needs_command" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_needs_command" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_needs_command" -s V -l version -d 'Print version'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "init" -d 'Set up the cloud side on this host'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "join" -d 'Make this host an edge node'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "gettoken" -d 'Print the token that edge nodes join with'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "reset" -d 'Remove what init or join put on this host'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "certgen" -d 'Make certificates for stream servers and external tools'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "debug" -d 'Look for trouble on this host'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "version" -d 'Print the version'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "completion" -d 'Print a completion script for a shell'
complete -c keadm -n "__fish_keadm_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand init" -l advertise-address -d 'Addresses under which edge nodes reach this host, comma-separated; the first is printed in the join command' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l dns-names -d 'DNS names for the server certificate, comma-separated' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l kube-config -d 'Use the cluster of this kubeconfig; without it a cluster found at the usual places is used, else keadm brings its own' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand init" -l master -d 'API server URL; overrides the kubeconfig\'s' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l kubeedge-version -d 'Accepted; this binary installs itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l set -d 'Override a value of cloudcore.yaml, e.g. modules.cloudStream.enable=true' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l ignore-preflight-errors -d 'Checks to skip by id, comma-separated, or all' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l timeout -d 'Seconds to wait until everything is ready' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l tarballpath -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l image-repository -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l external-helm-root -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l profile -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l manifests -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -s f -l files -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand init" -l embedded -d 'Bring our own Kubernetes even if a cluster is found at the usual places'
complete -c keadm -n "__fish_keadm_using_subcommand init" -s d -l dry-run -d 'Show what would be done; change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand init" -l force -d 'Do not wait until everything is ready'
complete -c keadm -n "__fish_keadm_using_subcommand init" -l skip-preflight-checks -d 'Skip all checks'
complete -c keadm -n "__fish_keadm_using_subcommand init" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand join" -s e -l cloudcore-ipport -d 'Address and port of cloudcore; IPv6 in brackets' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s t -l token -d 'Token that `keadm gettoken` prints on the cloud host; `-` reads it from stdin' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l token-file -d 'File with the token' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -s i -l edgenode-name -d 'Name of the node; the host name by default' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l edgenode-ip -d 'Address of the node' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l interfacename -d 'Network interface whose address the node reports' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l cgroupdriver -d 'cgroupfs or systemd; what the container runtime uses by default' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s p -l remote-runtime-endpoint -d 'Socket of the container runtime; the usual places are searched by default' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s l -l labels -d 'Labels of the node, comma-separated' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s s -l certport -d 'Port of the certificate server' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l tunnelport -d 'Port of the stream tunnel' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l quicport -d 'Port of the QUIC hub' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l hub-protocol -d 'Protocol of the link to the cloud' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l certPath -d 'Directory of the node\'s certificates' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l with-mqtt -d 'true: use the built-in MQTT broker; false: an external one' -r -f -a "true\t''
false\t''"
complete -c keadm -n "__fish_keadm_using_subcommand join" -l set -d 'Override a value of edgecore.yaml, e.g. modules.edgeStream.enable=true' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l timeout -d 'Seconds to wait until the node is registered' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l ignore-preflight-errors -d 'Checks to skip by id, comma-separated, or all' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l pre-run -d 'Program to run before anything else' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l post-run -d 'Program to run after success' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand join" -l kubeedge-version -d 'Accepted; this binary installs itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s r -l runtimetype -d 'docker means cri-dockerd' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l region -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l tarballpath -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l image-repository -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand join" -l with-edge-taint -d 'Keep pods away that do not tolerate node-role.kubernetes.io/edge:NoSchedule'
complete -c keadm -n "__fish_keadm_using_subcommand join" -l dry-run -d 'Show what would be done; change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand join" -l no-wait -d 'Do not wait until the node is registered'
complete -c keadm -n "__fish_keadm_using_subcommand join" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -l kube-config -d 'Kubeconfig of the cluster' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -s o -l output -d 'Output format' -r -f -a "json\t'One JSON object'"
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -l print-join-command -d 'Print the whole join command instead of the token alone'
complete -c keadm -n "__fish_keadm_using_subcommand gettoken" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l remote-runtime-endpoint -d 'Socket of the container runtime; the one of edgecore.yaml by default' -r
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l kube-config -d 'Accepted; the cluster is not touched' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l pre-run -d 'Program to run before anything else' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l post-run -d 'Program to run after success' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand reset" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l force -d 'Do not ask'
complete -c keadm -n "__fish_keadm_using_subcommand reset" -l dry-run -d 'Show what would be done; change nothing'
complete -c keadm -n "__fish_keadm_using_subcommand reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l ca-path -d 'Directory of the CA' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l cert-path -d 'Directory of the certificates' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l ips -d 'IP addresses for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l domains -d 'DNS names for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l subject -d 'Subject of the certificate' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l k8s-ca -d 'CA certificate of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l k8s-ca-key -d 'CA key of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l days -d 'Days until the certificate ends' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l key-type -d 'Accepted; keys are always ECDSA P-256' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -l force -d 'Replace what is there'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -f -a "stream" -d 'Certificate of the stream server, signed by the Kubernetes CA'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -f -a "genCertAndKey" -d 'CA if there is none, and a certificate with its key'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -f -a "buildSecret" -d 'Secret with the CA and an edge certificate, as a manifest on stdout'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and not __fish_seen_subcommand_from stream genCertAndKey buildSecret help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l ca-path -d 'Directory of the CA' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l cert-path -d 'Directory of the certificates' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l ips -d 'IP addresses for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l domains -d 'DNS names for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l subject -d 'Subject of the certificate' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l k8s-ca -d 'CA certificate of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l k8s-ca-key -d 'CA key of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l days -d 'Days until the certificate ends' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l key-type -d 'Accepted; keys are always ECDSA P-256' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -l force -d 'Replace what is there'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from stream" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l ca-path -d 'Directory of the CA' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l cert-path -d 'Directory of the certificates' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l domains -d 'DNS names for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l subject -d 'Subject of the certificate' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l k8s-ca -d 'CA certificate of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l k8s-ca-key -d 'CA key of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l days -d 'Days until the certificate ends' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l key-type -d 'Accepted; keys are always ECDSA P-256' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -l force -d 'Replace what is there'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from genCertAndKey" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l ca-path -d 'Directory of the CA' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l cert-path -d 'Directory of the certificates' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l ips -d 'IP addresses for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l domains -d 'DNS names for the certificate, separated by blanks or commas' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l subject -d 'Subject of the certificate' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l k8s-ca -d 'CA certificate of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l k8s-ca-key -d 'CA key of Kubernetes' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l days -d 'Days until the certificate ends' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l key-type -d 'Accepted; keys are always ECDSA P-256' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -l force -d 'Replace what is there'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from buildSecret" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from help" -f -a "stream" -d 'Certificate of the stream server, signed by the Kubernetes CA'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from help" -f -a "genCertAndKey" -d 'CA if there is none, and a certificate with its key'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from help" -f -a "buildSecret" -d 'Secret with the CA and an edge certificate, as a manifest on stdout'
complete -c keadm -n "__fish_keadm_using_subcommand certgen; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check help" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check help" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check help" -f -a "check" -d 'Check whether this host can be an edge node'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and not __fish_seen_subcommand_from check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s d -l domain -d 'Name to resolve' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s D -l dns-ip -d 'DNS server to ask instead of the system\'s' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s i -l ip -d 'Address to reach instead of cloudcore\'s' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s s -l cloud-hub-server -d 'Address of cloudcore; the one of edgecore.yaml by default' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s c -l config -d 'Configuration of edgecore' -r -F
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s p -l remote-runtime-endpoint -d 'Socket of the container runtime' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check whether this host can be an edge node'
complete -c keadm -n "__fish_keadm_using_subcommand debug; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand version" -s o -l output -d 'short, yaml or json' -r
complete -c keadm -n "__fish_keadm_using_subcommand version" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand version" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand completion" -s v -l v -d 'Log verbosity of what keadm does itself' -r
complete -c keadm -n "__fish_keadm_using_subcommand completion" -s h -l help -d 'Print help'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "init" -d 'Set up the cloud side on this host'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "join" -d 'Make this host an edge node'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "gettoken" -d 'Print the token that edge nodes join with'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "reset" -d 'Remove what init or join put on this host'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "certgen" -d 'Make certificates for stream servers and external tools'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "debug" -d 'Look for trouble on this host'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "version" -d 'Print the version'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "completion" -d 'Print a completion script for a shell'
complete -c keadm -n "__fish_keadm_using_subcommand help; and not __fish_seen_subcommand_from init join gettoken reset certgen debug version completion help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from certgen" -f -a "stream" -d 'Certificate of the stream server, signed by the Kubernetes CA'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from certgen" -f -a "genCertAndKey" -d 'CA if there is none, and a certificate with its key'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from certgen" -f -a "buildSecret" -d 'Secret with the CA and an edge certificate, as a manifest on stdout'
complete -c keadm -n "__fish_keadm_using_subcommand help; and __fish_seen_subcommand_from debug" -f -a "check" -d 'Check whether this host can be an edge node'
