
use builtin;
use str;

set edit:completion:arg-completer[keadm] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'keadm'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'keadm'= {
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand init 'Set up the cloud side on this host'
            cand join 'Make this host an edge node'
            cand gettoken 'Print the token that edge nodes join with'
            cand reset 'Remove what init or join put on this host'
            cand certgen 'Make certificates for stream servers and external tools'
            cand debug 'Look for trouble on this host'
            cand version 'Print the version'
            cand completion 'Print a completion script for a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'keadm;init'= {
            cand --advertise-address 'Addresses under which edge nodes reach this host, comma-separated; the first is printed in the join command'
            cand --dns-names 'DNS names for the server certificate, comma-separated'
            cand --kube-config 'Use the cluster of this kubeconfig; without it a cluster found at the usual places is used, else keadm brings its own'
            cand --master 'API server URL; overrides the kubeconfig''s'
            cand --kubeedge-version 'Accepted; this binary installs itself'
            cand --set 'Override a value of cloudcore.yaml, e.g. modules.cloudStream.enable=true'
            cand --ignore-preflight-errors 'Checks to skip by id, comma-separated, or all'
            cand --timeout 'Seconds to wait until everything is ready'
            cand --tarballpath 'tarballpath'
            cand --image-repository 'image-repository'
            cand --external-helm-root 'external-helm-root'
            cand --profile 'profile'
            cand --manifests 'manifests'
            cand -f 'f'
            cand --files 'files'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --embedded 'Bring our own Kubernetes even if a cluster is found at the usual places'
            cand -d 'Show what would be done; change nothing'
            cand --dry-run 'Show what would be done; change nothing'
            cand --force 'Do not wait until everything is ready'
            cand --skip-preflight-checks 'Skip all checks'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;join'= {
            cand -e 'Address and port of cloudcore; IPv6 in brackets'
            cand --cloudcore-ipport 'Address and port of cloudcore; IPv6 in brackets'
            cand -t 'Token that `keadm gettoken` prints on the cloud host; `-` reads it from stdin'
            cand --token 'Token that `keadm gettoken` prints on the cloud host; `-` reads it from stdin'
            cand --token-file 'File with the token'
            cand -i 'Name of the node; the host name by default'
            cand --edgenode-name 'Name of the node; the host name by default'
            cand --edgenode-ip 'Address of the node'
            cand --interfacename 'Network interface whose address the node reports'
            cand --cgroupdriver 'cgroupfs or systemd; what the container runtime uses by default'
            cand -p 'Socket of the container runtime; the usual places are searched by default'
            cand --remote-runtime-endpoint 'Socket of the container runtime; the usual places are searched by default'
            cand -l 'Labels of the node, comma-separated'
            cand --labels 'Labels of the node, comma-separated'
            cand -s 'Port of the certificate server'
            cand --certport 'Port of the certificate server'
            cand --tunnelport 'Port of the stream tunnel'
            cand --quicport 'Port of the QUIC hub'
            cand --hub-protocol 'Protocol of the link to the cloud'
            cand --certPath 'Directory of the node''s certificates'
            cand --with-mqtt 'true: use the built-in MQTT broker; false: an external one'
            cand --set 'Override a value of edgecore.yaml, e.g. modules.edgeStream.enable=true'
            cand --timeout 'Seconds to wait until the node is registered'
            cand --ignore-preflight-errors 'Checks to skip by id, comma-separated, or all'
            cand --pre-run 'Program to run before anything else'
            cand --post-run 'Program to run after success'
            cand --kubeedge-version 'Accepted; this binary installs itself'
            cand -r 'docker means cri-dockerd'
            cand --runtimetype 'docker means cri-dockerd'
            cand --region 'region'
            cand --tarballpath 'tarballpath'
            cand --image-repository 'image-repository'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --with-edge-taint 'Keep pods away that do not tolerate node-role.kubernetes.io/edge:NoSchedule'
            cand --dry-run 'Show what would be done; change nothing'
            cand --no-wait 'Do not wait until the node is registered'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;gettoken'= {
            cand --kube-config 'Kubeconfig of the cluster'
            cand -o 'Output format'
            cand --output 'Output format'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --print-join-command 'Print the whole join command instead of the token alone'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'keadm;reset'= {
            cand --remote-runtime-endpoint 'Socket of the container runtime; the one of edgecore.yaml by default'
            cand --kube-config 'Accepted; the cluster is not touched'
            cand --pre-run 'Program to run before anything else'
            cand --post-run 'Program to run after success'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --force 'Do not ask'
            cand --dry-run 'Show what would be done; change nothing'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'keadm;certgen'= {
            cand --ca-path 'Directory of the CA'
            cand --cert-path 'Directory of the certificates'
            cand --ips 'IP addresses for the certificate, separated by blanks or commas'
            cand --domains 'DNS names for the certificate, separated by blanks or commas'
            cand --subject 'Subject of the certificate'
            cand --k8s-ca 'CA certificate of Kubernetes'
            cand --k8s-ca-key 'CA key of Kubernetes'
            cand --days 'Days until the certificate ends'
            cand --key-type 'Accepted; keys are always ECDSA P-256'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --force 'Replace what is there'
            cand -h 'Print help'
            cand --help 'Print help'
            cand stream 'Certificate of the stream server, signed by the Kubernetes CA'
            cand genCertAndKey 'CA if there is none, and a certificate with its key'
            cand buildSecret 'Secret with the CA and an edge certificate, as a manifest on stdout'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'keadm;certgen;stream'= {
            cand --ca-path 'Directory of the CA'
            cand --cert-path 'Directory of the certificates'
            cand --ips 'IP addresses for the certificate, separated by blanks or commas'
            cand --domains 'DNS names for the certificate, separated by blanks or commas'
            cand --subject 'Subject of the certificate'
            cand --k8s-ca 'CA certificate of Kubernetes'
            cand --k8s-ca-key 'CA key of Kubernetes'
            cand --days 'Days until the certificate ends'
            cand --key-type 'Accepted; keys are always ECDSA P-256'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --force 'Replace what is there'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;certgen;genCertAndKey'= {
            cand --ca-path 'Directory of the CA'
            cand --cert-path 'Directory of the certificates'
            cand --domains 'DNS names for the certificate, separated by blanks or commas'
            cand --subject 'Subject of the certificate'
            cand --k8s-ca 'CA certificate of Kubernetes'
            cand --k8s-ca-key 'CA key of Kubernetes'
            cand --days 'Days until the certificate ends'
            cand --key-type 'Accepted; keys are always ECDSA P-256'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --force 'Replace what is there'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;certgen;buildSecret'= {
            cand --ca-path 'Directory of the CA'
            cand --cert-path 'Directory of the certificates'
            cand --ips 'IP addresses for the certificate, separated by blanks or commas'
            cand --domains 'DNS names for the certificate, separated by blanks or commas'
            cand --subject 'Subject of the certificate'
            cand --k8s-ca 'CA certificate of Kubernetes'
            cand --k8s-ca-key 'CA key of Kubernetes'
            cand --days 'Days until the certificate ends'
            cand --key-type 'Accepted; keys are always ECDSA P-256'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand --force 'Replace what is there'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;certgen;help'= {
            cand stream 'Certificate of the stream server, signed by the Kubernetes CA'
            cand genCertAndKey 'CA if there is none, and a certificate with its key'
            cand buildSecret 'Secret with the CA and an edge certificate, as a manifest on stdout'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'keadm;certgen;help;stream'= {
        }
        &'keadm;certgen;help;genCertAndKey'= {
        }
        &'keadm;certgen;help;buildSecret'= {
        }
        &'keadm;certgen;help;help'= {
        }
        &'keadm;debug'= {
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand -h 'Print help'
            cand --help 'Print help'
            cand check 'Check whether this host can be an edge node'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'keadm;debug;check'= {
            cand -d 'Name to resolve'
            cand --domain 'Name to resolve'
            cand -D 'DNS server to ask instead of the system''s'
            cand --dns-ip 'DNS server to ask instead of the system''s'
            cand -i 'Address to reach instead of cloudcore''s'
            cand --ip 'Address to reach instead of cloudcore''s'
            cand -s 'Address of cloudcore; the one of edgecore.yaml by default'
            cand --cloud-hub-server 'Address of cloudcore; the one of edgecore.yaml by default'
            cand -c 'Configuration of edgecore'
            cand --config 'Configuration of edgecore'
            cand -p 'Socket of the container runtime'
            cand --remote-runtime-endpoint 'Socket of the container runtime'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'keadm;debug;help'= {
            cand check 'Check whether this host can be an edge node'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'keadm;debug;help;check'= {
        }
        &'keadm;debug;help;help'= {
        }
        &'keadm;version'= {
            cand -o 'short, yaml or json'
            cand --output 'short, yaml or json'
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;completion'= {
            cand -v 'Log verbosity of what keadm does itself'
            cand --v 'Log verbosity of what keadm does itself'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'keadm;help'= {
            cand init 'Set up the cloud side on this host'
            cand join 'Make this host an edge node'
            cand gettoken 'Print the token that edge nodes join with'
            cand reset 'Remove what init or join put on this host'
            cand certgen 'Make certificates for stream servers and external tools'
            cand debug 'Look for trouble on this host'
            cand version 'Print the version'
            cand completion 'Print a completion script for a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'keadm;help;init'= {
        }
        &'keadm;help;join'= {
        }
        &'keadm;help;gettoken'= {
        }
        &'keadm;help;reset'= {
        }
        &'keadm;help;certgen'= {
            cand stream 'Certificate of the stream server, signed by the Kubernetes CA'
            cand genCertAndKey 'CA if there is none, and a certificate with its key'
            cand buildSecret 'Secret with the CA and an edge certificate, as a manifest on stdout'
        }
        &'keadm;help;certgen;stream'= {
        }
        &'keadm;help;certgen;genCertAndKey'= {
        }
        &'keadm;help;certgen;buildSecret'= {
        }
        &'keadm;help;debug'= {
            cand check 'Check whether this host can be an edge node'
        }
        &'keadm;help;debug;check'= {
        }
        &'keadm;help;version'= {
        }
        &'keadm;help;completion'= {
        }
        &'keadm;help;help'= {
        }
    ]
    $completions[$command]
}
