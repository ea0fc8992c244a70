# Read by every shell: the gateway's environment and LROSE are on PATH. A login shell of Ubuntu begins with
# a PATH of its own and forgets the container's. What is there already stays: a user's own environment,
# activated before, comes first.
for _gateway_folder in /usr/local/lrose/bin /opt/gateway/bin; do
    case ":$PATH:" in
    *":$_gateway_folder:"*) ;;
    *) PATH="$_gateway_folder:$PATH" ;;
    esac
done
unset _gateway_folder
export PATH
